"""Where rows come from: trees of inputs, the way of one record, and OpenLineage events."""
