{# Law: Insights has every label that a version's metadata makes, the user's own too, and no other; and its language,
   agent and start are those of the metadata. Filters in Insights' console and in the warehouse must find the same
   calls. A label of the pipeline holds 256 characters; a label of the user's that has the name of one of the
   pipeline's isn't sent. What nobody delivered has no metadata. Day and hashes aren't compared: a version is
   found by its hashes, and may be delivered on other days. A conversation of which it doesn't hold stands in
   quarantine. #}
{{ all_quarantined('labels_differ', odd_labels()) }}
