"""What a language model of this service learns from: for each of its tasks, prompts as they are served and the answer
that is wanted.

`understanding`, `judging`, `interests` and `wording` make rows for one task each. What only the service knows (which
slots the rules leave open, which candidates a ranking has, what its checks let pass) is handed to them as functions,
because training does not import the service; `eval.chat_rows` puts the two together.
"""
