"""Data that fairseg makes itself: the masks of `fairseg demo`."""
