//! The ranges in which products come: woods, glazes, colours, scents.

/// Variants in a range.
pub(super) const RANGE: usize = 5;

/// The variants of a kind.
pub(super) type Range = [Variant; RANGE];

/// What makes a kind of product this one.
#[derive(Debug)]
pub(super) struct Variant {
    /// As inside a name: lower case, unless it is a proper noun.
    pub(super) label: &'static str,
    /// The description's second sentence.
    pub(super) sentence: &'static str,
    /// Of the kind's price.
    pub(super) percent: i64,
    /// Its colour, 0xRRGGBB.
    pub(super) tone: u32,
}

const fn variant(label: &'static str, percent: i64, tone: u32, sentence: &'static str) -> Variant {
    Variant { label, sentence, percent, tone }
}

pub(super) const WOOD: Range = [
    variant("beech", 100, 0xd9_b0_82, "Pale beech with a fine, even grain."),
    variant("oak", 112, 0xb8_8a_55, "Oiled oak that darkens with the years."),
    variant("ash", 106, 0xe0_c9_a0, "Light ash with a lively grain."),
    variant("cherry", 124, 0xa9_62_3f, "Cherry wood that turns warm and red in the light."),
    variant("walnut", 140, 0x6b_48_31, "Dark walnut, finished with linseed oil."),
];

pub(super) const GLAZE: Range = [
    variant("oat", 100, 0xdc_cd_b4, "The glaze is matt and the colour of oats."),
    variant("moss", 104, 0x7d_8a_5c, "A deep moss glaze that pools darker at the rim."),
    variant("slate", 104, 0x6c_79_85, "Slate glaze with a quiet, silky sheen."),
    variant("ember", 108, 0xb8_5c_3c, "An iron-red glaze, no two pieces quite alike."),
    variant("midnight", 112, 0x2f_42_60, "Midnight blue, fired twice for its depth."),
];

pub(super) const ENAMEL: Range = [
    variant("cream", 100, 0xe6_d9_b8, "Cream enamel with a dark rim."),
    variant("sage", 102, 0x93_a6_8b, "Sage green enamel that is easy to keep clean."),
    variant("ink-blue", 102, 0x34_4f_7a, "Ink-blue enamel, hard as glass."),
    variant("brick", 105, 0xae_4f_3b, "Brick-red enamel that brightens a grey morning."),
    variant("charcoal", 108, 0x4a_4c_50, "Charcoal enamel that hides every scratch."),
];

pub(super) const GLASS: Range = [
    variant("clear", 100, 0xb9_d0_d6, "Clear glass with a few honest bubbles."),
    variant("smoke", 106, 0x7b_7e_80, "Smoke-grey glass, mouth-blown."),
    variant("amber", 108, 0xc9_8a_2e, "Amber glass that glows in the evening sun."),
    variant("sea-green", 108, 0x6f_a8_96, "Sea-green glass, made from old bottles."),
    variant("rose", 112, 0xcf_93_92, "Rose glass, tinted with a trace of gold."),
];

pub(super) const WOOL: Range = [
    variant("natural", 100, 0xdd_d2_bd, "Undyed wool, just as the sheep wore it."),
    variant("heather", 106, 0x96_84_9c, "Spun from heather-coloured lambswool."),
    variant("pine", 106, 0x42_62_4f, "Pine green, dyed in small batches."),
    variant("mustard", 106, 0xcf_9f_3a, "Mustard yellow that is warm to look at, too."),
    variant("navy", 108, 0x32_41_60, "Navy blue that goes with everything."),
];

pub(super) const LINEN: Range = [
    variant("flax", 100, 0xcf_bf_9f, "Washed linen in the colour of flax."),
    variant("chalk", 100, 0xe6_e2_da, "Chalk-white linen that softens with every wash."),
    variant("clay", 104, 0xbd_85_6b, "Clay-coloured linen, woven in Portugal."),
    variant("olive", 104, 0x85_85_56, "Olive linen with a visible slub."),
    variant("dusk", 106, 0x6d_7d_96, "Linen in the blue of late dusk."),
];

pub(super) const SCENT: Range = [
    variant("lavender", 100, 0xa3_96_c2, "Lavender from the hills, calm and clear."),
    variant("cedar", 104, 0xa8_7c_58, "Cedar, dry and warm like a carpenter's shop."),
    variant("fig leaf", 106, 0x7f_97_68, "Fig leaf, green with a little sweetness."),
    variant("orange peel", 100, 0xde_93_4a, "Orange peel with a pinch of clove."),
    variant("sea salt", 102, 0x8f_b3_bd, "Sea salt and driftwood, like the first day away."),
];

pub(super) const METAL: Range = [
    variant("steel", 100, 0xa4_ac_b3, "Brushed steel that needs no care."),
    variant("brass", 118, 0xc4_a0_52, "Solid brass that gains its own patina."),
    variant("copper", 124, 0xb9_71_4d, "Spun copper, lacquered against spots."),
    variant("black", 106, 0x3f_40_43, "Black powder coat, matt and hard-wearing."),
    variant("white", 104, 0xdc_da_d4, "White powder coat that stays white."),
];

pub(super) const PAPER: Range = [
    variant("sand", 100, 0xd6_c0_98, "Covered in sand-coloured cloth."),
    variant("forest", 100, 0x3f_5e_4b, "Covered in forest-green cloth."),
    variant("rust", 100, 0xb0_60_3c, "Covered in rust-red cloth."),
    variant("stone", 100, 0x93_90_8a, "Covered in stone-grey cloth."),
    variant("indigo", 100, 0x3b_48_7a, "Covered in indigo cloth."),
];

pub(super) const CANVAS: Range = [
    variant("sand", 100, 0xd0_b9_8d, "Undyed cotton canvas, waxed against the rain."),
    variant("bracken", 104, 0xa0_6b_3d, "Bracken-brown canvas with brass rivets."),
    variant("fern", 104, 0x5f_7d_54, "Fern-green canvas, stitched twice."),
    variant("harbour", 104, 0x46_66_83, "Harbour-blue canvas with a tight weave."),
    variant("coal", 106, 0x48_47_49, "Coal-grey canvas that forgives a muddy day."),
];

pub(super) const INK: Range = [
    variant("blue-black", 100, 0x2c_3b_5a, "Blue-black, for letters that are kept."),
    variant("chestnut", 102, 0x8a_4b_30, "Chestnut brown with a touch of red."),
    variant("bottle-green", 102, 0x2f_5d_4c, "Bottle green that dries almost black."),
    variant("plum", 104, 0x6d_40_62, "Plum, rich and a little unusual."),
    variant("teal", 104, 0x2f_75_7d, "Teal, bright on cream paper."),
];

pub(super) const ORIGIN: Range = [
    variant("Brazil", 100, 0xa5_71_48, "Nutty and round, with little acidity."),
    variant("Colombia", 104, 0xb8_4f_3e, "Caramel and red apple in the cup."),
    variant("Guatemala", 108, 0x5f_7c_5a, "Dark chocolate with a hint of orange."),
    variant("Ethiopia", 116, 0xd0_a0_48, "Floral and light, with jasmine and lemon."),
    variant("Kenya", 122, 0x7c_41_60, "Blackcurrant and a bright, clean finish."),
];

pub(super) const LEAF: Range = [
    variant("Assam", 100, 0x9a_4f_2f, "Malty and strong enough for milk."),
    variant("Earl Grey", 104, 0x5b_6e_8d, "Black tea with real bergamot oil."),
    variant("Sencha", 112, 0x6f_8f_54, "Fresh and grassy, best at eighty degrees."),
    variant("Oolong", 118, 0x8b_80_50, "Between green and black, with a note of orchid."),
    variant("Darjeeling", 122, 0xc7_8f_3f, "First flush, flowery and brisk."),
];

pub(super) const HERB: Range = [
    variant("basil", 100, 0x5c_8a_4a, "Basil for a warm windowsill, ready in eight weeks."),
    variant("thyme", 100, 0x7c_8c_70, "Thyme that likes it dry and sunny."),
    variant("chives", 100, 0x8a_7d_b0, "Chives that come back every spring."),
    variant("calendula", 104, 0xe0_94_38, "Calendula, which bees love and snails leave alone."),
    variant("cornflower", 104, 0x4f_70_b5, "Cornflowers in the old, deep blue."),
];

pub(super) const MOTIF: Range = [
    variant("harbour", 100, 0x4c_78_96, "Boats at low tide, in a thousand pieces."),
    variant("orchard", 100, 0x7c_9a_52, "Apple trees in blossom, in a thousand pieces."),
    variant("mountain", 100, 0x7a_84_94, "A ridge above the fog, in a thousand pieces."),
    variant("meadow", 100, 0xd3_a2_45, "High summer and a hundred flowers, in a thousand pieces."),
    variant("night sky", 100, 0x34_3c_62, "The winter constellations, in a thousand pieces."),
];
