"""Lets SGLang's wheels for CUDA serve on a CPU.

SGLang's model files name the CPU kernels of `sgl_kernel` when they are imported, and the wheel on PyPI holds only those
for CUDA. This declares them a moment before `sgl_kernel` is imported, without a kernel: with --attention-backend
torch_native none of them is called, and calling one says that it has no kernel. `sglang_cpu.pth` imports this module at
the start of every interpreter; torch is imported only when `sgl_kernel` is.
"""

import sys

OPERATORS = """
apply_multidimensional_rope_cpu apply_rotary_pos_emb_cpu biased_grouped_topk_cpu bmm_cpu conv3d_embed_cpu
decode_attention_cpu extend_attention_cpu fp8_per_tensor_scaled_mm_cpu fp8_scaled_mm_cpu fused_add_rmsnorm_cpu
fused_dual_residual_rmsnorm_cpu fused_experts_cpu fused_gdn_gating_cpu fused_input_proj_cpu fused_moe_router_cpu
fused_qk_gemma_rmsnorm_cpu fused_qk_gemma_rmsnorm_with_gate_cpu fused_qk_norm_cpu fused_qk_norm_rope_cpu
fused_qk_rmsnorm_apply_from_stats_cpu fused_qk_rmsnorm_cpu fused_qk_rmsnorm_sumsq_cpu
fused_qkvzba_split_reshape_cat_contiguous_cpu fused_qkvzba_split_reshape_cat_cpu
fused_sigmoid_gating_delta_rule_update_cpu fused_sigmoid_mul_cpu gelu_and_mul_cpu gelu_tanh_and_mul_cpu
gemma3_rmsnorm_cpu gemma4_rmsnorm_cpu gemma_fused_add_rmsnorm_cpu gemma_rmsnorm_cpu grouped_topk_cpu
image_preprocess_cpu int4_scaled_mm_cpu l2norm_cpu layernorm_cpu multimodal_rotary_embedding_cpu rmsnorm_cpu
rotary_embedding_cpu shared_expert_cpu silu_and_mul_cpu store_cache_cpu topk_sigmoid_cpu topk_softmax_cpu
""".split()


class _BeforeKernels:
    """Sits first among the importers and finds nothing; being asked for sgl_kernel is its signal."""

    library = None  # kept: the operators go when it goes

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """Declare the operators before sgl_kernel is imported."""
        if name == "sgl_kernel" and cls.library is None:
            import torch

            cls.library = torch.library.Library("sgl_kernel", "FRAGMENT")
            for operator in OPERATORS:
                cls.library.define(f"{operator}(Tensor a) -> Tensor")
            cls.library.define("init_cpu_threads_env(str cpu_ids) -> str")
            cls.library.impl("init_cpu_threads_env", lambda _: "threads are not bound", "CompositeExplicitAutograd")


sys.meta_path.insert(0, _BeforeKernels)
