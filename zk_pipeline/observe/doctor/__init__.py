"""`zk doctor`: examinations that say whether everything is fit, and what to do where it is not."""
