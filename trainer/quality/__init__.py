"""The ranking siamese that judges pictures (RankIQA), trained and measured."""
