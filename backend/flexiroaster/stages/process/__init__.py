"""Processes for the user's code: started warm, limited, confined, watched, and ended with all they have started.

`run` drives one attempt from the server's side; `inside` is what runs on the other side.
"""
