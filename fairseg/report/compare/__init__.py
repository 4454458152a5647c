"""Several models side by side: who is fairer, whether that is shown, and who pays for it."""
