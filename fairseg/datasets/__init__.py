"""Data that fairseg makes itself: the phantom cohort, and the masks of `fairseg demo`."""
