"""The detector network: backbone → fusion with the spectrum → attention → fingerprint block → embedding → logit.

Its sign is that of the published network: a logit above 0 says *photograph*.
"""
