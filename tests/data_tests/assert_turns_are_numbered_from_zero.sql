{# Law: the turns of a conversation are 0..n-1, each once, n being the turns of the version's transcript as it was
   handed in, and Insights' own count.
   Annotations find their turn by index; a lost turn would shift phrases and sentiment to a neighbour.
   A conversation of which it doesn't hold stands in quarantine. #}
{{ all_quarantined('turns_differ', odd_turns()) }}
