{# Law: in an analysed conversation every customer turn has a sentiment, no other turn has one, and Insights sent
   as many as the customer has turns.
   Insights sends a neutral turn as an empty message; read as missing, every average would lean to the extremes.
   A conversation of which it doesn't hold stands in quarantine. #}
{{ all_quarantined('sentiment_missing', odd_sentiments()) }}
