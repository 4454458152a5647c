"""Stands in for timm, whose torchvision has no build for the CPU build of torch that the tests use.

nnU-Net's search for a trainer imports all of its own, and those of its transformers import timm. No
test makes such a network: what is named here can be imported, and raises when it is used.
"""
