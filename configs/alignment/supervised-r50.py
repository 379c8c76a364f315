_base_ = ['../_base_/teachers/supervised_r50.py', '../_base_/alignment.py']
