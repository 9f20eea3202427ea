"""Change points of series by ruptures' Pelt, to be compared with ours: one series a line, `penalty least_length values...`; prints
the change points of each.

    ruptures_check.py SERIES.txt
"""
import sys

import numpy
import ruptures

for line in open(sys.argv[1]):
    words = line.split()
    penalty, least, values = float(words[0]), int(words[1]), numpy.array([float(word) for word in words[2:]])
    found = ruptures.Pelt(model="l2", min_size=least, jump=1).fit(values).predict(pen=penalty)
    print(*found[:-1])
