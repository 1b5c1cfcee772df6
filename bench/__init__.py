"""Measures the relay beside what people would otherwise write, in one run on one computer."""
