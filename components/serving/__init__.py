"""What every page that people open is served with."""
