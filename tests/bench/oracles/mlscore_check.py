"""Verdicts of mlscorecheck on two-class results, to be compared with the audit's: one a line, `n_1 n_0 epsilon acc sens f1`; prints
1 where they cannot be of one confusion matrix, else 0.

    mlscore_check.py CASES.txt
"""
import sys

from mlscorecheck.check.binary import check_1_testset_no_kfold

for line in open(sys.argv[1]):
    words = line.split()
    scores = {"acc": float(words[3]), "sens": float(words[4]), "f1": float(words[5])}
    found = check_1_testset_no_kfold(testset={"p": int(words[0]), "n": int(words[1])}, scores=scores, eps=float(words[2]))
    print(int(found["inconsistency"]))
