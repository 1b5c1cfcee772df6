"""Forms: what people answer with more than a press of a button, one file a form.

A form is pure: a view from a request, and from what was entered an answer, or what is wrong with it.
Opening it and taking it back are in `opening` and `submitting`.
"""
