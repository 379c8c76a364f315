_base_ = './lgd.py'

title = 'teacher'
role = 'teacher'
skip = ['transfer']
