_base_ = ['../_base_/teachers/mocov3_r50.py', '../_base_/alignment.py']
