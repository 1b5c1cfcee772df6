"""What happens: one arrival, one function, one transaction; nothing here waits for anything."""
