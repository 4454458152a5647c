"""Where fairseg meets other libraries: one file a library, which only that file imports."""
