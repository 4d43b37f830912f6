"""One person: suitability against published criteria, outlook under each option, updating with follow-up."""
