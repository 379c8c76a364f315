_base_ = ['../_base_/teachers/swav_r50.py', '../_base_/alignment.py']
