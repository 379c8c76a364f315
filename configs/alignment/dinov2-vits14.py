_base_ = ['../_base_/teachers/dinov2_vits14.py', '../_base_/alignment.py']
