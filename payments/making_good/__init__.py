"""Finding who was hit by an incident, and making it good."""
