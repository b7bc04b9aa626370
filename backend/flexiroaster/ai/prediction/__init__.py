"""What will fail, how long it takes, whether another try helps: learned from earlier runs, with evidence."""
