"""Data that fairseg makes itself: the phantom cohort, and an example of masks to audit."""
