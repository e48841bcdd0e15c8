"""Pages for people: the report, the review, the demo and the study."""
