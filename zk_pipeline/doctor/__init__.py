"""The doctor: examinations that tell an operator whether everything is fit, and what to do where it is not."""
