{# Law: where Insights found highlights, entities or phrases the marts have rows of them, and never more than
   Insights found. A coach sees what the marts hold; a finding that is lost, or doubled, is feedback that is
   wrong. A conversation of which it doesn't hold stands in quarantine. #}
{{ all_quarantined('findings_lost', odd_findings()) }}
