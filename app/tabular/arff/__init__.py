"""The ARFF format: what OpenML's upload check, Weka (which OpenML processes data with) and liac-arff all read alike."""
