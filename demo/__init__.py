"""The main job end to end on real flights, checked against an independent computation."""
