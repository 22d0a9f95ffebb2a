//! What goes outside: bags, clothes, garden, the open air – and games for when it rains.

use super::ranges::{CANVAS, ENAMEL, GLAZE, HERB, LINEN, METAL, MOTIF, WOOD, WOOL};
use super::{Category, Kind};

pub(super) const BAGS: Category = Category {
    id: "bags",
    name: "Bags",
    prefix: "BAG",
    kinds: [
        Kind {
            name: "Canvas backpack in {}",
            sentence: "Twenty litres with a padded sleeve for a laptop.",
            price: 9900,
            range: &CANVAS,
            drawing: "<ellipse cx='200' cy='324' rx='104' ry='9' fill='{d}' opacity='.3'/><path d='M166 96c0-44 68-44 68 0' fill='none' stroke='{d}' \
                stroke-width='11'/><path d='M106 168c0-54 40-80 94-80s94 26 94 80v124c0 18-12 30-30 30H136c-18 0-30-12-30-30z' fill='{m}'/><path \
                d='M106 172c0-58 40-84 94-84s94 26 94 84c-40 28-148 28-188 0z' fill='{l}'/><rect x='138' y='226' width='124' height='78' rx='12' \
                fill='{d}'/><path d='M138 248h124' stroke='{l}' stroke-width='4'/><path d='M160 178v44M240 178v44' stroke='#8a5a34' stroke-width='13'/>",
        },
        Kind {
            name: "Canvas tote in {}",
            sentence: "Carries a week of shopping and folds into a coat pocket.",
            price: 2900,
            range: &CANVAS,
            drawing: "<ellipse cx='200' cy='324' rx='104' ry='8' fill='{d}' opacity='.3'/><path d='M148 176c0-124 104-124 104 0' fill='none' stroke='{d}' \
                stroke-width='13'/><path d='M92 168h216l14 140c1 8-4 14-12 14H90c-8 0-13-6-12-14z' fill='{m}'/><path d='M92 168h216l2 24H90z' \
                fill='{l}'/><path d='M148 176v34M252 176v34' stroke='{d}' stroke-width='13'/><path d='M110 214l-6 84' stroke='{l}' stroke-width='7'/>",
        },
        Kind {
            name: "Weekend bag in {}",
            sentence: "Room for three days, with leather grips and a shoulder strap.",
            price: 14900,
            range: &CANVAS,
            drawing: "<ellipse cx='200' cy='324' rx='140' ry='9' fill='{d}' opacity='.3'/><path d='M140 190c0-96 120-96 120 0' fill='none' \
                stroke='#8a5a34' stroke-width='12'/><path d='M86 176h228c26 0 42 24 42 60v64c0 12-8 20-20 20H64c-12 0-20-8-20-20v-64c0-36 16-60 \
                42-60z' fill='{m}'/><path d='M44 262h312v38c0 12-8 20-20 20H64c-12 0-20-8-20-20z' fill='{d}'/><path d='M88 196h224' stroke='{l}' \
                stroke-width='6'/><path d='M140 186v76M260 186v76' stroke='#8a5a34' stroke-width='15'/>",
        },
        Kind {
            name: "Wash bag in {}",
            sentence: "Lined so that a leaking bottle stays its own problem.",
            price: 3400,
            range: &CANVAS,
            drawing: "<ellipse cx='200' cy='324' rx='116' ry='8' fill='{d}' opacity='.3'/><path d='M84 196c0-26 20-40 48-40h136c28 0 48 14 48 40l8 \
                104c0 14-8 20-20 20H96c-12 0-20-6-20-20z' fill='{m}'/><path d='M84 200h232' stroke='{d}' stroke-width='9'/><path d='M88 200h224' \
                stroke='{t}' stroke-width='3'/><rect x='296' y='192' width='16' height='46' rx='8' fill='#8a5a34'/><rect x='166' y='240' width='68' \
                height='40' rx='4' fill='{l}'/><path d='M104 226l-4 66' stroke='{l}' stroke-width='7'/>",
        },
        Kind {
            name: "Roll-top satchel in {}",
            sentence: "Closes tight in the rain and opens wide at the market.",
            price: 11900,
            range: &CANVAS,
            drawing: "<ellipse cx='200' cy='324' rx='100' ry='9' fill='{d}' opacity='.3'/><path d='M108 130c-60 60-44 150-20 180' fill='none' \
                stroke='{d}' stroke-width='12'/><path d='M112 128h176v176c0 12-8 18-18 18H130c-10 0-18-6-18-18z' fill='{m}'/><rect x='104' y='82' \
                width='192' height='34' rx='16' fill='{d}'/><rect x='108' y='108' width='184' height='34' rx='14' fill='{l}'/><path d='M200 96v118' \
                stroke='#8a5a34' stroke-width='15'/><rect x='186' y='184' width='28' height='32' rx='5' fill='none' stroke='#c4a052' \
                stroke-width='6'/><path d='M112 256h176' stroke='{d}' stroke-width='4'/>",
        },
    ],
};

pub(super) const CLOTHING: Category = Category {
    id: "clothing",
    name: "Clothing",
    prefix: "CLO",
    kinds: [
        Kind {
            name: "Lambswool scarf in {}",
            sentence: "Brushed soft and long enough to wrap twice.",
            price: 4900,
            range: &WOOL,
            drawing: "<path d='M214 184l48 128h-70l-20-120z' fill='{d}'/><path d='M196 312l2 18M214 312l2 18M232 312l3 18M250 312l4 18' stroke='{d}' \
                stroke-width='6'/><path d='M176 186l-30 126H78l46-138z' fill='{m}'/><path d='M82 312l-4 18M98 312l-3 18M116 312l-2 18M134 312v18' \
                stroke='{m}' stroke-width='6'/><path d='M94 128c0-58 212-58 212 0 0 52-40 72-106 72S94 180 94 128z' fill='{m}'/><ellipse cx='200' \
                cy='122' rx='66' ry='26' fill='{d}'/><path d='M112 150c22 28 60 34 98 34' stroke='{l}' stroke-width='8' fill='none'/><path d='M92 \
                280l66 4M98 262l64 4' stroke='{t}' stroke-width='7'/>",
        },
        Kind {
            name: "Ribbed beanie in {}",
            sentence: "Knitted without a seam, with a cuff for cold ears.",
            price: 3200,
            range: &WOOL,
            drawing: "<ellipse cx='200' cy='324' rx='118' ry='8' fill='{d}' opacity='.3'/><path d='M96 262c0-112 30-178 104-178s104 66 104 178z' \
                fill='{m}'/><path d='M140 256c0-90 14-140 40-162M200 256V90M260 256c0-90-14-140-40-162' stroke='{l}' stroke-width='6' fill='none'/>\
                <rect x='82' y='244' width='236' height='76' rx='22' fill='{d}'/><path d='M112 256v52M142 256v52M172 256v52M202 256v52M232 256v52\
                M262 256v52M292 256v52' stroke='{m}' stroke-width='7'/>",
        },
        Kind {
            name: "Wool socks in {}",
            sentence: "A terry sole for hiking boots and cold floors alike.",
            price: 1600,
            range: &WOOL,
            drawing: "<path d='M212 84h70v132c0 24 10 32 40 50 22 14 18 54-14 54-50 0-96-32-96-86z' fill='{d}'/><path d='M118 84h72v136c0 24 10 32 \
                40 48 24 14 18 52-14 52-52 0-98-30-98-84z' fill='{m}'/><path d='M118 84h72v34h-72z' fill='{l}'/><path d='M212 84h70v34h-70z' \
                fill='{m}'/><path d='M118 232c20-14 44-10 56 6M196 318c-2-20 10-40 32-48' stroke='{t}' stroke-width='8' fill='none'/>",
        },
        Kind {
            name: "Linen apron in {}",
            sentence: "Cross-back straps and a pocket for a towel and a thermometer.",
            price: 5400,
            range: &LINEN,
            drawing: "<path d='M150 116c0-76 100-76 100 0' fill='none' stroke='{d}' stroke-width='9'/><path d='M92 214l-52 26M308 214l52 26' stroke='{d}' \
                stroke-width='9'/><path d='M144 108h112c4 52 18 82 58 96l-12 116c-1 6-4 8-10 8H108c-6 0-9-2-10-8L86 204c40-14 54-44 58-96z' \
                fill='{m}'/><rect x='142' y='218' width='116' height='66' rx='6' fill='{l}'/><path d='M200 218v66' stroke='{d}' stroke-width='4'/>\
                <path d='M150 128h100' stroke='{t}' stroke-width='5'/>",
        },
        Kind {
            name: "Knitted gloves in {}",
            sentence: "Thin enough for keys, warm enough for the morning ride.",
            price: 2700,
            range: &WOOL,
            drawing: "<g transform='rotate(-10 130 220)'><path d='M76 250V142c0-18 24-18 24 0v60-86c0-18 26-18 26 0v82-92c0-18 26-18 26 0v92-70c0-18 \
                24-18 24 0v110l14-26c12-18 32-8 24 14l-32 74H76z' fill='{m}'/><rect x='72' y='262' width='112' height='60' rx='10' fill='{d}'/></g>\
                <g transform='translate(400) scale(-1 1) rotate(-10 130 220)'><path d='M76 250V142c0-18 24-18 24 0v60-86c0-18 26-18 26 0v82-92c0-18 \
                26-18 26 0v92-70c0-18 24-18 24 0v110l14-26c12-18 32-8 24 14l-32 74H76z' fill='{l}'/><rect x='72' y='262' width='112' height='60' \
                rx='10' fill='{d}'/></g>",
        },
    ],
};

pub(super) const GARDEN: Category = Category {
    id: "garden",
    name: "Garden",
    prefix: "GAR",
    kinds: [
        Kind {
            name: "{} watering can",
            sentence: "Five litres, balanced so that the last drop pours as well as the first.",
            price: 4600,
            range: &ENAMEL,
            drawing: "<ellipse cx='220' cy='322' rx='110' ry='9' fill='{d}' opacity='.3'/><path d='M152 268L64 154' stroke='{d}' stroke-width='20'/><path \
                d='M34 168l52-42 10 12-52 44z' fill='{m}'/><path d='M176 176c0-110 170-90 140 60' fill='none' stroke='{d}' stroke-width='13'/><path \
                d='M148 176h152l12 132c1 8-4 14-12 14H148c-8 0-13-6-12-14z' fill='{m}'/><path d='M148 176h152l2 22H146z' fill='{d}'/><path d='M166 \
                216l-6 84' stroke='{l}' stroke-width='10'/>",
        },
        Kind {
            name: "Planter in {}",
            sentence: "Frost-proof stoneware with a saucer, eighteen centimetres across.",
            price: 2700,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='324' rx='104' ry='8' fill='{d}' opacity='.3'/><path d='M200 190C190 130 150 90 104 84c4 54 38 92 96 106zM200 \
                190c2-70 34-112 92-124 0 62-32 108-92 124z' fill='#5f7d54'/><path d='M200 190C180 130 184 86 204 46c24 44 22 94-4 144z' fill='#7c9a6a'/>\
                <path d='M118 196h164l-18 104c-1 8-7 12-14 12H150c-8 0-13-4-14-12z' fill='{m}'/><rect x='106' y='182' width='188' height='30' rx='8' \
                fill='{d}'/><rect x='112' y='304' width='176' height='18' rx='9' fill='{d}'/><path d='M144 226l10 66' stroke='{l}' stroke-width='9'/>",
        },
        Kind {
            name: "Seeds: {}",
            sentence: "Open-pollinated seed from organic growers, about two hundred grains.",
            price: 400,
            range: &HERB,
            drawing: "<path d='M100 322h200' stroke='{d}' stroke-width='9' opacity='.25'/><path d='M118 76h164v236c0 6-4 10-10 10H128c-6 0-10-4-10-10z' \
                fill='{w}'/><path d='M118 76h164v44H118z' fill='{m}'/><path d='M118 120h164' stroke='{d}' stroke-width='4'/><path d='M200 270v-64' \
                stroke='#5f7d54' stroke-width='6'/><path d='M200 254c-34 0-40-24-40-34 26 0 40 12 40 34zM200 240c34 0 40-24 40-34-26 0-40 12-40 34z' \
                fill='#5f7d54'/><g fill='{m}'><circle cx='200' cy='164' r='15'/><circle cx='220' cy='182' r='15'/><circle cx='180' cy='182' r='15'/>\
                <circle cx='190' cy='204' r='15'/><circle cx='212' cy='204' r='15'/></g><circle cx='200' cy='186' r='12' fill='{t}'/><path d='M150 \
                294h100' stroke='{l}' stroke-width='6'/>",
        },
        Kind {
            name: "Hand trowel with {} handle",
            sentence: "A forged blade with a depth scale, riveted for life.",
            price: 2400,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='322' rx='116' ry='8' fill='{d}' opacity='.25'/><g transform='rotate(42 200 200)'><path d='M158 214h84c10 70-16 \
                116-42 140-26-24-52-70-42-140z' fill='{s}'/><path d='M200 226v100' stroke='{w}' stroke-width='6'/><path d='M200 214v-50' stroke='#8b9298' \
                stroke-width='14'/><rect x='176' y='30' width='48' height='140' rx='22' fill='{m}'/><path d='M176 138h48' stroke='{d}' stroke-width='8'/>\
                <path d='M190 56v68' stroke='{l}' stroke-width='7'/></g>",
        },
        Kind {
            name: "{} nesting box",
            sentence: "For tits and sparrows, with a front that opens for cleaning.",
            price: 3100,
            range: &WOOD,
            drawing: "<path d='M330 0c-24 120 8 220-8 400' stroke='#8d7a66' stroke-width='34' fill='none' opacity='.45'/><path d='M112 152h176v166H112z' \
                fill='{m}'/><path d='M146 152v166M254 152v166' stroke='{d}' stroke-width='4' opacity='.5'/><path d='M84 160L200 78l116 82-16 18-100-70\
                -100 70z' fill='{d}'/><circle cx='200' cy='214' r='29' fill='{k}'/><path d='M200 268v24' stroke='{d}' stroke-width='11'/><path d='M128 \
                190v110' stroke='{l}' stroke-width='7'/>",
        },
    ],
};

pub(super) const OUTDOORS: Category = Category {
    id: "outdoors",
    name: "Outdoors",
    prefix: "OUT",
    kinds: [
        Kind {
            name: "{} vacuum flask",
            sentence: "Keeps tea hot for twelve hours and fits the side pocket.",
            price: 3600,
            range: &ENAMEL,
            drawing: "<ellipse cx='200' cy='322' rx='70' ry='9' fill='{d}' opacity='.3'/><rect x='142' y='120' width='116' height='202' rx='22' fill='{m}'/>\
                <rect x='154' y='60' width='92' height='66' rx='12' fill='{s}'/><path d='M154 108h92' stroke='#8b9298' stroke-width='5'/><rect x='142' \
                y='260' width='116' height='20' fill='{d}'/><path d='M164 150v92' stroke='{l}' stroke-width='11'/><path d='M172 74v26' stroke='{w}' \
                stroke-width='7'/>",
        },
        Kind {
            name: "{} enamel cup",
            sentence: "Light, unbreakable and happy on an open fire.",
            price: 1300,
            range: &ENAMEL,
            drawing: "<ellipse cx='186' cy='322' rx='96' ry='9' fill='{d}' opacity='.3'/><path d='M270 206c72-8 62 92-10 84' fill='none' stroke='{d}' \
                stroke-width='13'/><path d='M94 176h186l-10 132c-1 8-7 14-16 14H120c-9 0-15-6-16-14z' fill='{m}'/><rect x='86' y='166' width='202' \
                height='16' rx='8' fill='{k}'/><path d='M118 200l6 94' stroke='{l}' stroke-width='10'/><circle cx='220' cy='236' r='4' fill='{t}'/>\
                <circle cx='196' cy='276' r='4' fill='{t}'/><circle cx='238' cy='290' r='3' fill='{t}'/><path d='M150 140c-14-22 14-30 0-54M200 140c-14\
                -22 14-30 0-54' stroke='{t}' stroke-width='8' fill='none'/>",
        },
        Kind {
            name: "Camp chair in {}",
            sentence: "A beech frame that packs into a bag the size of an umbrella.",
            price: 8400,
            range: &CANVAS,
            drawing: "<ellipse cx='200' cy='326' rx='126' ry='7' fill='{d}' opacity='.3'/><path d='M112 70l176 252M288 70L112 322' stroke='{o}' \
                stroke-width='14' opacity='.75'/><path d='M104 70l-8 252M296 70l8 252' stroke='{o}' stroke-width='14'/><path d='M100 76c60 16 140 16 200 0v\
                92c-60 14-140 14-200 0z' fill='{m}'/><path d='M92 214h216c4 26-4 42-20 44H112c-16-2-24-18-20-44z' fill='{l}'/><path d='M120 148c50 8 110 \
                8 160 0' stroke='{d}' stroke-width='4' fill='none'/>",
        },
        Kind {
            name: "Hammock in {}",
            sentence: "Two metres of cloth with ropes that tie without a knot.",
            price: 6900,
            range: &CANVAS,
            drawing: "<path d='M44 40v290M356 40v290' stroke='#8d7a66' stroke-width='24'/><path d='M52 126l62 58M52 126l50 78M348 126l-62 58M348 126l-50 78' \
                stroke='{k}' stroke-width='4'/><path d='M104 188c60 36 132 36 192 0 12 70-40 112-96 112s-108-42-96-112z' fill='{m}'/><path d='M104 188c60 \
                36 132 36 192 0-2 50-40 66-96 66s-94-16-96-66z' fill='{l}'/><path d='M138 274c-10-18-14-36-14-60M262 274c10-18 14-36 14-60M200 292v-70' \
                stroke='{d}' stroke-width='6' fill='none' opacity='.7'/>",
        },
        Kind {
            name: "{} pocket torch",
            sentence: "Three hundred lumens from one cell that charges over USB-C.",
            price: 3900,
            range: &METAL,
            drawing: "<g transform='rotate(-24 200 220)'><path d='M112 180L-40 90v260l152-90z' fill='#fff3c4' opacity='.85'/><path d='M112 166h50l34 22v64l-34 22\
                h-50z' fill='{d}'/><ellipse cx='112' cy='220' rx='14' ry='54' fill='{w}'/><rect x='194' y='190' width='170' height='60' rx='12' fill='{m}'/>\
                <path d='M216 206h128' stroke='{l}' stroke-width='8'/><path d='M264 222v22M280 222v22M296 222v22M312 222v22' stroke='{d}' stroke-width='5'/>\
                <rect x='218' y='180' width='36' height='14' rx='7' fill='#b85c3c'/></g>",
        },
    ],
};

pub(super) const GAMES: Category = Category {
    id: "games",
    name: "Games",
    prefix: "GAM",
    kinds: [
        Kind {
            name: "Building blocks in {}",
            sentence: "Sixty blocks in a cotton sack, sanded smooth and left unpainted.",
            price: 4400,
            range: &WOOD,
            drawing: "<path d='M50 322h300' stroke='{d}' stroke-width='9' opacity='.25'/><rect x='80' y='236' width='84' height='84' rx='5' fill='{m}'/><rect \
                x='236' y='236' width='84' height='84' rx='5' fill='{d}'/><path d='M166 320v-84h68v84h-12c0-32-44-32-44 0z' fill='{l}'/><rect x='92' y='202' \
                width='216' height='32' rx='5' fill='{m}'/><rect x='116' y='130' width='42' height='70' rx='5' fill='{l}'/><rect x='242' y='130' width='42' \
                height='70' rx='5' fill='{d}'/><path d='M104 128l96-64 96 64z' fill='{m}'/><path d='M104 218h190M96 256h50' stroke='{l}' stroke-width='5'/>",
        },
        Kind {
            name: "Chess set in {}",
            sentence: "Weighted pieces with felt feet, on a board that folds.",
            price: 7900,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='324' rx='130' ry='8' fill='{d}' opacity='.3'/><path d='M92 318c0-30 22-34 26-90h48c4 56 26 60 26 90z' fill='{m}'/>\
                <circle cx='142' cy='196' r='32' fill='{m}'/><rect x='106' y='222' width='72' height='15' rx='7' fill='{d}'/><path d='M130 184c4-6 8-8 14-8' \
                stroke='{l}' stroke-width='6' fill='none'/><path d='M204 318c0-34 26-44 28-146h52c2 102 28 112 28 146z' fill='{k}'/><path d='M220 110h20v18h12\
                v-18h20v18h12v-18h12l-8 62h-60z' fill='{k}'/><rect x='218' y='166' width='80' height='15' rx='7' fill='{d}'/><path d='M246 200c-2 44-6 70-14 90' \
                stroke='#6b655f' stroke-width='7' fill='none'/>",
        },
        Kind {
            name: "Jigsaw puzzle, {}",
            sentence: "Thick card that snaps together, from an original painting.",
            price: 2400,
            range: &MOTIF,
            drawing: "<rect x='66' y='86' width='268' height='236' rx='10' fill='{d}'/><rect x='66' y='78' width='268' height='226' rx='10' fill='{t}'/><circle cx='256' \
                cy='136' r='26' fill='{w}'/><path d='M66 230l72-84 58 62 40-38 98 92v32c0 6-4 10-10 10H76c-6 0-10-4-10-10z' fill='{m}'/><path d='M66 262c60-30 \
                110-10 160-4s76-10 108-22v58c0 6-4 10-10 10H76c-6 0-10-4-10-10z' fill='{d}'/><path d='M200 78v56c-16-8-28 2-28 14s12 22 28 14v58c16-8 28 2 28 \
                14s-12 22-28 14v56M66 190h60c-8-16 2-28 14-28s22 12 14 28h92c-8 16 2 28 14 28s22-12 14-28h60' stroke='{w}' stroke-width='4' fill='none' \
                opacity='.9'/>",
        },
        Kind {
            name: "Canvas kite in {}",
            sentence: "Flies in a light breeze and comes with forty metres of line.",
            price: 3300,
            range: &CANVAS,
            drawing: "<path d='M60 110c20-24 56-20 64 0 24-4 34 28 8 32H70c-30 0-32-30-10-32z' fill='{w}'/><path d='M196 256c-50 30 20 60-30 100' stroke='{k}' \
                stroke-width='4' fill='none'/><path d='M224 40l92 104-122 116-58-138z' fill='{m}'/><path d='M224 40l92 104-146 32z' fill='{l}'/><path d='M224 \
                40l-30 220M136 122l180 22' stroke='{d}' stroke-width='5'/><path d='M178 286l-26-8 4 24zM178 286l24 12-24 8zM186 324l-26-4 8 22zM186 324l22 14\
                -24 6z' fill='{d}'/>",
        },
        Kind {
            name: "{} spinning top",
            sentence: "Turned on the lathe and balanced, with a record of two minutes.",
            price: 1200,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='326' rx='60' ry='7' fill='{d}' opacity='.35'/><g transform='rotate(9 200 220)'><rect x='190' y='76' width='20' height='100' \
                rx='10' fill='{d}'/><path d='M78 198c0-30 50-44 122-44s122 14 122 44c0 46-84 62-122 126-38-64-122-80-122-126z' fill='{m}'/><path d='M78 198c24 \
                22 220 22 244 0' stroke='#b85c3c' stroke-width='12' fill='none'/><path d='M104 232c40 16 152 16 192 0' stroke='#344f7a' stroke-width='9' \
                fill='none'/><path d='M112 184c16-10 38-14 58-16' stroke='{l}' stroke-width='8' fill='none'/></g><path d='M60 290c-14-10-18-22-18-34M340 290c14\
                -10 18-22 18-34' stroke='{s}' stroke-width='6' fill='none'/>",
        },
    ],
};
