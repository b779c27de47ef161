"""What a dataset is: contracts, read and checked."""
