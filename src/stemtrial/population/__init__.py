"""Virtual patients: whom a trial enrols, their covariates, and the biology that follows from them."""
