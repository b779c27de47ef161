"""Silver to gold: marts from SELECTs."""
