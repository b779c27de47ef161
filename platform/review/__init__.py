"""What is said about a stack before it is built: by its rendering alone, without an account."""
