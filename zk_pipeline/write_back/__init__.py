"""Writing into tickets what became of their time: the plan, approval, sending, and taking back."""
