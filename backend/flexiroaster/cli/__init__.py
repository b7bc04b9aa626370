"""The command line. Command modules import typer alone at the top; what a command needs, it loads when it runs."""
