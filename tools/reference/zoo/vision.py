"""Vision: torchvision's own classes with small settings where they take them, compact definitions otherwise."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torchvision import models as tv
from harness import model, images
from decoders import Block, D, H

HD = D // H
FIXED = ((2, 3), (2, 3))


def fused(m):
    """The module with every BatchNorm merged into its convolution, as the default export does: its parameters are what the file holds."""
    import torch.fx.experimental.optimization as o
    return o.fuse(m.eval()).requires_grad_()


# ---- convolutional ------------------------------------------------------------------------------------------------

def resnet(cls=tv.resnet.BasicBlock, **more):
    m = tv.ResNet(cls, [1, 1, 1, 1], num_classes=7, **more)
    return m


class SmallResNet(nn.Module):
    """torchvision's block classes at width 8."""
    def __init__(self, block, groups=1, width=64):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        down = lambda i, o, s: nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o))
        e = block.expansion
        extra = dict(groups=groups, base_width=width) if block is tv.resnet.Bottleneck else {}
        self.layer1 = nn.Sequential(block(8, 8, downsample=down(8, 8 * e, 1) if e > 1 else None, **extra))
        self.layer2 = nn.Sequential(block(8 * e, 16, 2, down(8 * e, 16 * e, 2), **extra), block(16 * e, 16, **extra))
        self.fc = nn.Linear(16 * e, 7)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.layer2(self.layer1(x)), 1), 1))


basic, bottleneck = tv.resnet.BasicBlock, tv.resnet.Bottleneck
model("resnet", "classification", opset=17, inputs=images(), golden=fused)(lambda: SmallResNet(basic))
model("resnet-preserve", "classification", opset=13, inputs=images(), training="preserve")(lambda: SmallResNet(basic))
model("resnet-train", "classification", opset=14, fold=False, inputs=images(batches=(4, 3)), training="train", by_graph=True)(lambda: SmallResNet(basic))
model("resnext-sizes", "classification", opset=11, inputs=images(sizes=((32, 32), (40, 24))), golden=fused)(lambda: SmallResNet(bottleneck, 4, 32))
model("resnet-half", "classification", opset=17, dtype=torch.float16, inputs=images())(lambda: SmallResNet(basic))


class SqueezeExcite(nn.Module):
    def __init__(self, c, r, act=F.relu, gate=torch.sigmoid):
        super().__init__()
        self.fc1, self.fc2, self.act, self.gate = nn.Conv2d(c, r, 1), nn.Conv2d(r, c, 1), act, gate
    def forward(self, x): return x * self.gate(self.fc2(self.act(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class MBConv(nn.Module):
    """EfficientNet and MobileNetV3's inverted residual."""
    def __init__(self, i, o, stride, act, se=None):
        super().__init__()
        m = i * 3
        self.expand, self.bn0 = nn.Conv2d(i, m, 1, bias=False), nn.BatchNorm2d(m, eps=1e-3)
        self.depthwise, self.bn1 = nn.Conv2d(m, m, 5, stride, 2, groups=m, bias=False), nn.BatchNorm2d(m, eps=1e-3)
        self.se = se(m) if se else nn.Identity()
        self.project, self.bn2 = nn.Conv2d(m, o, 1, bias=False), nn.BatchNorm2d(o, eps=1e-3)
        self.act, self.same = act, stride == 1 and i == o
    def forward(self, x):
        y = self.act(self.bn0(self.expand(x)))
        y = self.se(self.act(self.bn1(self.depthwise(y))))
        y = self.bn2(self.project(y))
        return x + y if self.same else y


class SmallMobile(nn.Module):
    def __init__(self, act, se):
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(MBConv(8, 8, 1, act, se), MBConv(8, 12, 2, act, se), MBConv(12, 12, 1, act, se))
        self.head, self.classifier, self.act = nn.Linear(12, 24), nn.Linear(24, 7), act
    def forward(self, x):
        x = self.blocks(self.act(self.bn(self.stem(x))))
        return self.classifier(self.act(self.head(x.mean([2, 3]))))


model("efficientnet", "classification", opset=17, inputs=images(), training="preserve")(lambda: SmallMobile(F.silu, lambda m: SqueezeExcite(m, m // 4, F.silu)))
model("efficientnet-merged", "classification", opset=15, inputs=images(), golden=fused)(lambda: SmallMobile(F.silu, lambda m: SqueezeExcite(m, m // 4, F.silu)))
model("mobilenetv3", "classification", opset=17, inputs=images(), training="preserve")(lambda: SmallMobile(F.hardswish, lambda m: SqueezeExcite(m, m // 4, F.relu, F.hardsigmoid)))
model("mobilenetv3-opset12", "classification", opset=12, fold=False, inputs=images())(lambda: SmallMobile(F.hardswish, lambda m: SqueezeExcite(m, m // 4, F.relu, F.hardsigmoid)))


def shufflenet():
    return tv.ShuffleNetV2([2, 2, 2], [8, 16, 24, 32, 48], num_classes=7)


model("shufflenet", "classification", opset=17, inputs=images(), training="preserve")(shufflenet)
model("shufflenet-merged", "classification", opset=17, inputs=images(), golden=fused)(shufflenet)
model("shufflenet-opset11", "classification", opset=11, fold=False, inputs=images(), training="preserve")(shufflenet)
model("squeezenet", "classification", opset=17, inputs=images(size=(48, 48)))(lambda: Squeeze())


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        Fire = tv.squeezenet.Fire
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(8, 4, 8, 8), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 4, 8, 8))
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(16, 7, 1), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))
    def forward(self, x): return torch.flatten(self.classifier(self.features(x)), 1)


class Vgg(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(True), nn.MaxPool2d(2, 2), nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(True), nn.MaxPool2d(2, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((4, 4))
        self.classifier = nn.Sequential(nn.Linear(12 * 16, 24), nn.ReLU(True), nn.Dropout(), nn.Linear(24, 7))
    def forward(self, x): return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


model("vgg", "classification", opset=17, inputs=images(), golden=fused)(Vgg)
model("vgg-preserve", "classification", opset=16, fold=False, inputs=images(), training="preserve")(Vgg)


class AlexNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 11, 4, 2), nn.ReLU(True), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 5, padding=2, groups=2), nn.ReLU(True))
        self.classifier = nn.Sequential(nn.Linear(12 * 9, 16), nn.ReLU(True), nn.Linear(16, 7))
    def forward(self, x): return self.classifier(torch.flatten(self.features(x), 1))


model("alexnet-lrn", "classification", opset=17, inputs=images(size=(32, 32)))(AlexNet)


class Inception(nn.Module):
    """GoogLeNet's module: four branches, average pooling without the padding counted, 1x7 and 7x1 convolutions."""
    def __init__(self):
        super().__init__()
        b = sys.modules['torchvision.models.googlenet'].BasicConv2d
        self.conv1 = b(3, 8, kernel_size=3, stride=2, padding=1)
        self.b1, self.b2 = b(8, 4, kernel_size=1), nn.Sequential(b(8, 4, kernel_size=1), b(4, 6, kernel_size=(1, 7), padding=(0, 3)), b(6, 6, kernel_size=(7, 1), padding=(3, 0)))
        self.b3, self.b4 = nn.Sequential(b(8, 4, kernel_size=1), b(4, 4, kernel_size=3, padding=1)), b(8, 4, kernel_size=1)
        self.fc = nn.Linear(18, 7)
    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        y = [self.b1(x), self.b2(x), self.b3(F.max_pool2d(x, 3, 1, 1)), self.b4(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))]
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(torch.cat(y, 1), (1, 1)), 1))


model("inception", "classification", opset=17, inputs=images(), golden=fused)(Inception)
model("inception-preserve", "classification", opset=14, inputs=images(), training="preserve")(Inception)


class RegNet(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda i, o, s: tv.regnet.ResBottleneckBlock(i, o, s, nn.BatchNorm2d, nn.ReLU, 4, 1.0, 0.25)
        self.stem, self.trunk = tv.regnet.SimpleStemIN(3, 8, nn.BatchNorm2d, nn.ReLU), nn.Sequential(block(8, 16, 2), block(16, 16, 1))
        self.fc = nn.Linear(16, 7)
    def forward(self, x): return self.fc(self.trunk(self.stem(x)).mean((2, 3)))


model("regnet", "classification", opset=17, inputs=images(), training="preserve")(RegNet)
model("densenet", "classification", opset=18, fold=False, inputs=images())(lambda: tv.DenseNet(4, (2, 2), 8, num_classes=7))
model("mnasnet", "classification", opset=17, inputs=images(size=(32, 32)), training="preserve")(lambda: SmallMobile(F.relu, None))


class ConvNeXt(nn.Module):
    """Depthwise 7x7, LayerNorm over channels by permutation, layer scale."""
    def __init__(self, permute=True):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 4, 4), tv.convnext.LayerNorm2d(12, eps=1e-6))
        self.stages = nn.ModuleList()
        for _ in range(2):
            b = Block()
            b.dwconv, b.norm, b.pwconv1, b.pwconv2 = nn.Conv2d(12, 12, 7, padding=3, groups=12), nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 48), nn.Linear(48, 12)
            b.gamma = nn.Parameter(torch.ones(12))
            self.stages.append(b)
        self.downsample = nn.Sequential(tv.convnext.LayerNorm2d(12, eps=1e-6), nn.Conv2d(12, 16, 2, 2))
        self.norm, self.head = nn.LayerNorm(16, eps=1e-6), nn.Linear(16, 7)
    def forward(self, x):
        x = self.stem(x)
        for b in self.stages:
            y = b.dwconv(x).permute(0, 2, 3, 1)
            y = b.pwconv2(F.gelu(b.pwconv1(b.norm(y))))
            x = x + (b.gamma * y).permute(0, 3, 1, 2)
        return self.head(self.norm(self.downsample(x).mean([-2, -1])))


model("convnext", "classification", opset=17, inputs=images())(ConvNeXt)
model("convnext-opset16", "classification", opset=16, fold=False, inputs=images(sizes=((32, 32), (48, 32))))(ConvNeXt)
model("convnext-half", "classification", opset=17, dtype=torch.float16, inputs=images())(ConvNeXt)
model("convnext-torchvision", "classification", opset=18, inputs=images())(lambda: tv.ConvNeXt([tv.convnext.CNBlockConfig(8, 16, 1), tv.convnext.CNBlockConfig(16, None, 1)], num_classes=7))


# ---- transformers -------------------------------------------------------------------------------------------------

class ViT(nn.Module):
    """Names as in timm: packed qkv."""
    def __init__(self, distilled=False, scale=False, sdpa=False):
        super().__init__()
        self.distilled, self.sdpa = distilled, sdpa
        self.patch_embed = Block()
        self.patch_embed.proj = nn.Conv2d(3, D, 8, 8)
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, D)), nn.Parameter(torch.randn(1, 18 if distilled else 17, D))
        if distilled: self.dist_token, self.head_dist = nn.Parameter(torch.randn(1, 1, D)), nn.Linear(D, 7)
        self.blocks = nn.ModuleList()
        for _ in range(2):
            b = Block()
            b.norm1, b.norm2, b.attn, b.mlp = nn.LayerNorm(D, eps=1e-6), nn.LayerNorm(D, eps=1e-6), Block(), Block()
            b.attn.qkv, b.attn.proj, b.mlp.fc1, b.mlp.fc2 = nn.Linear(D, 3 * D), nn.Linear(D, D), nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
            if scale: b.ls1, b.ls2 = Block(), Block(); b.ls1.gamma, b.ls2.gamma = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))
            self.blocks.append(b)
        self.norm, self.head = nn.LayerNorm(D, eps=1e-6), nn.Linear(D, 7)

    def forward(self, x):
        x = self.patch_embed.proj(x).flatten(2).transpose(1, 2)
        b = x.shape[0]
        cls = [self.cls_token.expand(b, -1, -1)] + ([self.dist_token.expand(b, -1, -1)] if self.distilled else [])
        x = torch.cat(cls + [x], dim=1) + self.pos_embed
        for l in self.blocks:
            n = x.shape[1]
            qkv = l.attn.qkv(l.norm1(x)).reshape(b, n, 3, H, HD).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.unbind(0)
            if self.sdpa: a = F.scaled_dot_product_attention(q, k, v)
            else: a = (q * HD ** -0.5 @ k.transpose(-2, -1)).softmax(dim=-1) @ v
            a = l.attn.proj(a.transpose(1, 2).reshape(b, n, D))
            x = x + (a * l.ls1.gamma if hasattr(l, "ls1") else a)
            m = l.mlp.fc2(F.gelu(l.mlp.fc1(l.norm2(x))))
            x = x + (m * l.ls2.gamma if hasattr(l, "ls2") else m)
        x = self.norm(x)
        if self.distilled: return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2
        return self.head(x[:, 0])


model("vit", "classification", opset=17, inputs=images())(ViT)
model("vit-unfolded", "classification", opset=14, fold=False, inputs=images())(lambda: ViT(sdpa=True))
model("vit-half", "classification", opset=17, dtype=torch.float16, inputs=images())(ViT)
model("vit-torchvision", "classification", opset=17, inputs=images(batches=(2, 2)))(lambda: tv.VisionTransformer(32, 8, 1, 4, 32, 48, num_classes=7))
model("deit", "classification", opset=16, inputs=images())(lambda: ViT(distilled=True))
model("dinov2", "classification", opset=18, inputs=images())(lambda: ViT(scale=True))
model("swin", "classification", opset=17, inputs=images())(lambda: tv.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], stochastic_depth_prob=0.0, num_classes=7))
model("swin-unfolded", "classification", opset=14, fold=False, inputs=images())(lambda: tv.SwinTransformer([4, 4], 8, [2], [2], [4, 4], stochastic_depth_prob=0.0, num_classes=7))
model("swin-v2", "classification", opset=17, inputs=images())(lambda: tv.SwinTransformer([4, 4], 8, [2], [2], [4, 4], stochastic_depth_prob=0.0, num_classes=7, block=tv.swin_transformer.SwinTransformerBlockV2, downsample_layer=tv.swin_transformer.PatchMergingV2))
model("maxvit", "classification", opset=17, inputs=images(batches=(2, 2)), training="preserve")(lambda: tv.MaxVit((32, 32), 8, 4, [8, 16], [1, 1], 8, 0.0, num_classes=7))


class Swin(nn.Module):
    """Names as in timm: window partition, cyclic shift by roll, relative position bias table indexed by a buffer, attention mask of the shift."""
    def __init__(self, size=8, window=4, dim=16, heads=2):
        super().__init__()
        self.w, self.heads, self.hd = window, heads, dim // heads
        self.patch_embed = Block()
        self.patch_embed.proj, self.patch_embed.norm = nn.Conv2d(3, dim, 4, 4), nn.LayerNorm(dim)
        self.layers = nn.ModuleList()
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        relative = (at[:, :, None] - at[:, None, :]).permute(1, 2, 0) + window - 1
        index = relative[..., 0] * (2 * window - 1) + relative[..., 1]
        region = torch.zeros(1, size, size, 1)
        count = 0
        for h in (slice(0, -window), slice(-window, -window // 2), slice(-window // 2, None)):
            for w in (slice(0, -window), slice(-window, -window // 2), slice(-window // 2, None)):
                region[:, h, w, :] = count
                count += 1
        parts = self.partition(region).squeeze(-1)
        mask = parts.unsqueeze(1) - parts.unsqueeze(2)
        self.register_buffer("attn_mask", mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0), persistent=False)
        for i in range(2):
            b = Block()
            b.norm1, b.norm2, b.attn, b.mlp, b.shift = nn.LayerNorm(dim), nn.LayerNorm(dim), Block(), Block(), (i % 2) * window // 2
            b.attn.qkv, b.attn.proj, b.attn.relative_position_bias_table = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim), nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))
            b.attn.register_buffer("relative_position_index", index, persistent=False)
            b.mlp.fc1, b.mlp.fc2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
            self.layers.append(b)
        self.reduction, self.merge_norm = nn.Linear(4 * dim, 2 * dim, bias=False), nn.LayerNorm(4 * dim)
        self.norm, self.head = nn.LayerNorm(2 * dim), nn.Linear(2 * dim, 7)

    def partition(self, x):
        b, h, w, c = x.shape
        return x.view(b, h // self.w, self.w, w // self.w, self.w, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.w * self.w, c)

    def forward(self, x):
        x = self.patch_embed.norm(self.patch_embed.proj(x).flatten(2).transpose(1, 2))
        b, l, c = x.shape
        s = int(l ** 0.5)
        n = self.w * self.w
        for k in self.layers:
            y = k.norm1(x).view(b, s, s, c)
            if k.shift: y = torch.roll(y, shifts=(-k.shift, -k.shift), dims=(1, 2))
            y = self.partition(y)
            qkv = k.attn.qkv(y).reshape(-1, n, 3, self.heads, self.hd).permute(2, 0, 3, 1, 4)
            q, key, v = qkv[0] * self.hd ** -0.5, qkv[1], qkv[2]
            w = q @ key.transpose(-2, -1)
            w = w + k.attn.relative_position_bias_table[k.attn.relative_position_index.view(-1)].view(n, n, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
            if k.shift:
                count = self.attn_mask.shape[0]
                w = (w.view(-1, count, self.heads, n, n) + self.attn_mask.unsqueeze(1).unsqueeze(0)).view(-1, self.heads, n, n)
            y = k.attn.proj((w.softmax(-1) @ v).transpose(1, 2).reshape(-1, n, c)).view(-1, self.w, self.w, c)
            y = y.view(-1, s // self.w, s // self.w, self.w, self.w, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, s, s, c)
            if k.shift: y = torch.roll(y, shifts=(k.shift, k.shift), dims=(1, 2))
            x = x + y.view(-1, l, c)
            x = x + k.mlp.fc2(F.gelu(k.mlp.fc1(k.norm2(x))))
        y = x.view(-1, s, s, c)
        y = torch.cat([y[:, 0::2, 0::2, :], y[:, 1::2, 0::2, :], y[:, 0::2, 1::2, :], y[:, 1::2, 1::2, :]], -1).view(-1, l // 4, 4 * c)
        return self.head(self.norm(self.reduction(self.merge_norm(y))).mean(1))


model("swin-timm", "classification", opset=17, inputs=images())(Swin)
model("swin-timm-unfolded", "classification", opset=12, fold=False, inputs=images())(Swin)


# ---- dense prediction ---------------------------------------------------------------------------------------------

class UNet(nn.Module):
    def __init__(self, up="transpose", norm=nn.BatchNorm2d, mode="bilinear", align=True):
        super().__init__()
        double = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), norm(o), nn.ReLU(inplace=True), nn.Conv2d(o, o, 3, padding=1, bias=False), norm(o), nn.ReLU(inplace=True))
        self.inc, self.down = double(3, 8), double(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2) if up == "transpose" else nn.Sequential(nn.Upsample(scale_factor=2, mode=mode, align_corners=align if mode != "nearest" else None), nn.Conv2d(16, 8, 1))
        self.outc = nn.Sequential(double(16, 8), nn.Conv2d(8, 4, 1))
    def forward(self, x):
        a = self.inc(x)
        b = self.up(self.down(F.max_pool2d(a, 2)))
        b = F.pad(b, [0, a.shape[3] - b.shape[3], 0, a.shape[2] - b.shape[2]])
        return self.outc(torch.cat([a, b], 1))


def unet(name, **more):
    extra = {k: more.pop(k) for k in ("opset", "fold", "training", "golden", "dtype") if k in more}
    model(name, "segmentation", inputs=images(size=(16, 16)), axes={"pixel_values": {0: "batch"}, "logits": {0: "batch"}}, **extra)(lambda: UNet(**more))


unet("unet", opset=17, training="preserve")
unet("unet-unfolded", opset=13, fold=False, training="preserve")
unet("unet-bilinear", opset=17, up="resize", training="preserve")
unet("unet-bilinear-half-pixel", opset=11, up="resize", align=False, training="preserve")
unet("unet-nearest", opset=18, up="resize", mode="nearest", training="preserve")
unet("unet-bicubic", opset=17, up="resize", mode="bicubic", align=False, training="preserve")
unet("unet-group-norm", opset=17, up="resize", norm=lambda c: nn.GroupNorm(4, c))
unet("unet-instance-norm", opset=17, norm=lambda c: nn.InstanceNorm2d(c, affine=True))


class Segmenter(nn.Module):
    """DeepLab-like: dilated convolutions, pooled branch scaled back to the input's size taken from the graph."""
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.a, self.b, self.pool = nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.Conv2d(8, 8, 3, padding=4, dilation=4), nn.Conv2d(8, 8, 1)
        self.project, self.classifier = nn.Conv2d(24, 8, 1), nn.Conv2d(8, 4, 1)
        self.act = nn.PReLU(8)
    def forward(self, x):
        s = self.act(self.stem(x))
        p = F.interpolate(self.pool(F.adaptive_avg_pool2d(s, 1)), size=s.shape[-2:], mode="bilinear", align_corners=False)
        y = self.classifier(F.leaky_relu(self.project(torch.cat([self.a(s), self.b(s), p], 1)), 0.1))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


model("deeplab", "segmentation", opset=17, inputs=images(size=(16, 16)))(Segmenter)
model("deeplab-sizes", "segmentation", opset=13, inputs=images(sizes=((16, 16), (24, 20))), fold=False, axes={"pixel_values": {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch", 2: "height", 3: "width"}})(Segmenter)


class PixelShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 5, padding=2), nn.Conv2d(8, 4, 3, padding=1)
    def forward(self, x): return F.pixel_shuffle(self.b(torch.tanh(self.a(F.pad(x, (1, 1, 1, 1), mode="reflect")))), 2)


model("super-resolution", "mse", opset=17, inputs=images(1, (8, 8)))(PixelShuffleNet)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ELU(), nn.Conv2d(6, 8, 3, 2, 1), nn.SELU())
        self.decoder = nn.Sequential(nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1), nn.Softplus(), nn.ConvTranspose2d(6, 1, 3, 2, 1, output_padding=1), nn.Sigmoid())
    def forward(self, x): return self.decoder(self.encoder(x))


model("autoencoder", "mse", opset=17, inputs=images(1, (16, 16)))(Autoencoder)


class SpatialTransformer(nn.Module):
    """affine_grid and grid_sample, learned by a small network."""
    def __init__(self):
        super().__init__()
        self.loc, self.theta, self.conv, self.fc = nn.Conv2d(1, 4, 5, 2), nn.Linear(4 * 36, 6), nn.Conv2d(1, 6, 3), nn.Linear(6, 5)
    def forward(self, x):
        t = 0.2 * self.theta(torch.flatten(F.relu(self.loc(x)), 1)).view(-1, 2, 3) + torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=x.dtype)
        h = torch.linspace(-1, 1, 16, dtype=x.dtype)
        base = torch.stack([h[None, :].expand(16, 16), h[:, None].expand(16, 16), torch.ones(16, 16, dtype=x.dtype)], -1).view(1, 256, 3)
        grid = (base @ t.transpose(1, 2)).view(-1, 16, 16, 2)
        return self.fc(F.relu(self.conv(F.grid_sample(x, grid, align_corners=True))).amax((2, 3)))


model("spatial-transformer", "classification", opset=16, inputs=images(1, (16, 16)))(SpatialTransformer)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 8, 8)
        self.blocks = nn.ModuleList()
        for _ in range(2):
            b = Block()
            b.norm1, b.norm2, b.tok1, b.tok2, b.ch1, b.ch2 = nn.LayerNorm(16), nn.LayerNorm(16), nn.Linear(16, 8), nn.Linear(8, 16), nn.Linear(16, 32), nn.Linear(32, 16)
            self.blocks.append(b)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 7)
    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        for b in self.blocks:
            x = x + b.tok2(F.gelu(b.tok1(b.norm1(x).transpose(1, 2)))).transpose(1, 2)
            x = x + b.ch2(F.gelu(b.ch1(b.norm2(x))))
        return self.head(self.norm(x).mean(1))


model("mlp-mixer", "classification", opset=17, inputs=images())(Mixer)


class PoolFormer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 7, 4, 2)
        self.norm1, self.norm2, self.fc1, self.fc2 = nn.GroupNorm(1, 12), nn.GroupNorm(1, 12), nn.Conv2d(12, 24, 1), nn.Conv2d(24, 12, 1)
        self.scale1, self.head = nn.Parameter(torch.ones(12)), nn.Linear(12, 7)
    def forward(self, x):
        x = self.stem(x)
        h = self.norm1(x)
        x = x + self.scale1.unsqueeze(-1).unsqueeze(-1) * (F.avg_pool2d(h, 3, 1, 1, count_include_pad=False) - h)
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return self.head(x.mean([-2, -1]))


model("poolformer", "classification", opset=17, inputs=images())(PoolFormer)


class Video(nn.Module):
    """Conv3d, MaxPool3d, BatchNorm3d."""
    def __init__(self):
        super().__init__()
        self.a, self.bn, self.b, self.fc = nn.Conv3d(3, 6, 3, padding=1), nn.BatchNorm3d(6), nn.Conv3d(6, 8, 3, 2), nn.Linear(8, 5)
    def forward(self, x): return self.fc(F.relu(self.b(F.max_pool3d(F.relu(self.bn(self.a(x))), 2))).mean((2, 3, 4)))


model("video-3d", "classification", opset=17, training="preserve", inputs=lambda c: {"x": torch.randn((2, 3)[c], 3, 8, 12, 12)})(Video)
