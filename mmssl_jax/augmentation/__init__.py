"""What a language model adds to a data set: pairs, profiles and attributes, as LLMRec trains on.

`subjects` says what is asked about, `prompts` how it is asked, `endpoint` and `asking` get answers,
`answers` reads them, `answer_file` keeps them, `outputs` writes what training reads. `stand_ins`
needs no language model. `augment` goes through them in this order.
"""
