def build_full(*a): raise NotImplementedError
