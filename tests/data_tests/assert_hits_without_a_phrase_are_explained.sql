{# Law: a hit has no phrase only where its matcher's revision is unknown, or where one of the revision's rule
   groups holds by what is not said: negated rules alone, or any of them.
   A reviewer asks "what was said?"; an unexplained blank means that the text is searched otherwise than in Insights.
   A conversation of which it doesn't hold stands in quarantine. #}
{{ all_quarantined('hit_unexplained', odd_hits()) }}
