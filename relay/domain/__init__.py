"""What is true: values, states and rules, with no I/O, no clock and no framework."""
