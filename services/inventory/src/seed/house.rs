//! What makes a home: living room, light, desk, bath.

use super::ranges::{GLASS, GLAZE, INK, LINEN, METAL, PAPER, SCENT, WOOD, WOOL};
use super::{Category, Kind};

pub(super) const LIVING: Category = Category {
    id: "living",
    name: "Living",
    prefix: "LIV",
    kinds: [
        Kind {
            name: "Wool blanket in {}",
            sentence: "Woven in a herringbone, 130 by 180 centimetres with a fringe.",
            price: 9800,
            range: &WOOL,
            drawing: "<ellipse cx='200' cy='322' rx='124' ry='9' fill='{d}' opacity='.3'/>\
                <rect x='82' y='142' width='236' height='60' rx='26' fill='{l}'/><rect x='82' y='198' width='236' height='60' rx='26' \
                fill='{m}'/><rect x='82' y='256' width='236' height='64' rx='26' fill='{d}'/>\
                <path d='M240 142h34v178h-34z' fill='{t}' opacity='.8'/>\
                <path d='M110 172l12-12 12 12 12-12 12 12 12-12 12 12 12-12 12 12M110 230l12-12 12 12 12-12 12 12 12-12 12 12 12-12 \
                12 12' stroke='{w}' stroke-width='4' fill='none' opacity='.7'/>",
        },
        Kind {
            name: "Linen cushion in {}",
            sentence: "A feather filling in a cover with hidden buttons, 50 centimetres square.",
            price: 4600,
            range: &LINEN,
            drawing: "<ellipse cx='200' cy='322' rx='116' ry='9' fill='{d}' opacity='.3'/>\
                <path d='M86 106c36 14 192 14 228 0 10-4 16 2 12 12-14 38-14 152 0 190 4 10-2 16-12 12-36-14-192-14-228 0-10 4-16-2-12-12 \
                14-38 14-152 0-190-4-10 2-16 12-12z' fill='{m}'/>\
                <path d='M126 152c-6 40-6 84 0 122M162 136c-4 46-4 108 0 152' stroke='{l}' stroke-width='6' fill='none'/>\
                <path d='M300 140c-6 44-6 102 0 148' stroke='{d}' stroke-width='5' fill='none' opacity='.6'/>",
        },
        Kind {
            name: "Flat-woven rug in {}",
            sentence: "Hard-wearing wool for hall or bedside, 70 by 140 centimetres.",
            price: 12900,
            range: &WOOL,
            drawing: "<path d='M40 316L96 124h208l56 192z' fill='{m}'/><path d='M66 300l46-160h176l46 160z' fill='none' stroke='{t}' \
                stroke-width='7'/><path d='M200 164l56 54-56 62-56-62z' fill='{l}'/><path d='M200 190l28 28-28 32-28-32z' fill='{d}'/>\
                <path d='M44 316v14M76 316v14M108 316v14M140 316v14M172 316v14M204 316v14M236 316v14M268 316v14M300 316v14M332 316v14\
                M356 316v14' stroke='{d}' stroke-width='5'/>",
        },
        Kind {
            name: "Linen table runner in {}",
            sentence: "Hemmed by hand with mitred corners, 45 by 150 centimetres.",
            price: 3400,
            range: &LINEN,
            drawing: "<rect x='30' y='176' width='340' height='22' rx='6' fill='{o}'/><path d='M62 198v124M338 198v124' stroke='{o}' \
                stroke-width='14'/><path d='M128 170h144v112H128z' fill='{m}'/><path d='M128 170h144v22H128z' fill='{l}'/>\
                <path d='M140 270h120' stroke='{t}' stroke-width='5'/><path d='M160 196v66M200 196v66M240 196v66' stroke='{l}' \
                stroke-width='4'/><path d='M178 170c0-40 44-40 44 0z' fill='{w}'/><path d='M200 140V96' stroke='#5c8a4a' stroke-width='5'/>\
                <path d='M200 112c-26-2-26-24-24-30 20 2 26 14 24 30zM200 98c20-2 26-18 24-28-18 2-26 12-24 28z' fill='#5c8a4a'/>",
        },
        Kind {
            name: "{} wall clock",
            sentence: "A silent movement behind a face turned from solid wood.",
            price: 7400,
            range: &WOOD,
            drawing: "<circle cx='200' cy='178' r='118' fill='{d}' opacity='.25' transform='translate(6 10)'/>\
                <circle cx='200' cy='178' r='118' fill='{m}'/><circle cx='200' cy='178' r='98' fill='{l}'/>\
                <path d='M200 92v16M200 248v16M114 178h16M270 178h16' stroke='{k}' stroke-width='7'/>\
                <path d='M139 117l8 8M253 231l8 8M261 117l-8 8M147 231l-8 8' stroke='{d}' stroke-width='5'/>\
                <path d='M200 178l-40-34M200 178l22-62' stroke='{k}' stroke-width='8'/><circle cx='200' cy='178' r='9' fill='{k}'/>",
        },
    ],
};

pub(super) const LIGHTING: Category = Category {
    id: "lighting",
    name: "Lighting",
    prefix: "LIG",
    kinds: [
        Kind {
            name: "{} desk lamp",
            sentence: "An arm with two joints and a shade that stays where it is put.",
            price: 8900,
            range: &METAL,
            drawing: "<path d='M92 190l-40 112h150z' fill='#fff3c4' opacity='.8'/><ellipse cx='270' cy='318' rx='70' ry='9' fill='{d}'/>\
                <path d='M270 314l44-116-150-84' fill='none' stroke='{m}' stroke-width='11'/><circle cx='314' cy='198' r='13' fill='{d}'/>\
                <path d='M176 92l30 56-104 52c-24-48 20-110 74-108z' fill='{m}'/><path d='M206 148l-104 52' stroke='{d}' stroke-width='8'/>\
                <path d='M126 150c8-16 20-28 36-34' stroke='{l}' stroke-width='7' fill='none'/><rect x='206' y='300' width='128' height='20' \
                rx='10' fill='{m}'/>",
        },
        Kind {
            name: "Pendant lamp in {} glass",
            sentence: "A blown dome on two metres of woven cable.",
            price: 11900,
            range: &GLASS,
            drawing: "<path d='M200 0v96' stroke='{k}' stroke-width='5'/><rect x='182' y='86' width='36' height='40' rx='8' fill='#c4a052'/>\
                <path d='M86 256c0-80 46-132 114-132s114 52 114 132z' fill='{m}' opacity='.8'/><circle cx='200' cy='206' r='38' fill='#fff3c4'/>\
                <ellipse cx='200' cy='256' rx='114' ry='18' fill='{d}' opacity='.6'/><path d='M116 230c6-38 26-66 54-78' stroke='{w}' \
                stroke-width='9' fill='none' opacity='.8'/><ellipse cx='200' cy='338' rx='120' ry='16' fill='#fff3c4' opacity='.7'/>",
        },
        Kind {
            name: "Candle, {}",
            sentence: "Poured from rapeseed wax into a glass that can be used again.",
            price: 2400,
            range: &SCENT,
            drawing: "<circle cx='200' cy='120' r='70' fill='#fff3c4' opacity='.8'/><ellipse cx='200' cy='322' rx='86' ry='9' fill='{d}' \
                opacity='.3'/><rect x='124' y='168' width='152' height='154' rx='14' fill='{l}'/><rect x='124' y='200' width='152' height='122' \
                rx='14' fill='{m}'/><ellipse cx='200' cy='200' rx='76' ry='11' fill='{t}'/><path d='M200 200v-38' stroke='{k}' stroke-width='5'/>\
                <path d='M200 90c30 34 22 74 0 74s-30-40 0-74z' fill='#f0a83c'/><rect x='152' y='232' width='96' height='58' rx='4' fill='{w}'/>\
                <path d='M168 254h64M180 270h40' stroke='{d}' stroke-width='5'/>",
        },
        Kind {
            name: "Table lamp with {} base",
            sentence: "A stoneware base under a shade of pleated linen.",
            price: 9600,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='322' rx='90' ry='9' fill='{d}' opacity='.3'/><path d='M200 216v-30' stroke='#c4a052' stroke-width='12'/>\
                <path d='M150 318c-44-44-10-106 50-106s94 62 50 106c-6 6-94 6-100 0z' fill='{m}'/><path d='M150 286c-8-22 2-42 20-52' stroke='{l}' \
                stroke-width='9' fill='none'/><path d='M138 74h124l44 116H94z' fill='{w}'/><path d='M160 74l-30 116M186 74l-12 116M214 74l12 116\
                M240 74l30 116' stroke='#e3d9c2' stroke-width='5'/><path d='M94 190h212' stroke='#d8caa8' stroke-width='6'/>",
        },
        Kind {
            name: "{} garden lantern",
            sentence: "Shelters a candle from wind and rain and hangs from a ring.",
            price: 4900,
            range: &METAL,
            drawing: "<ellipse cx='200' cy='324' rx='88' ry='8' fill='{d}' opacity='.3'/><circle cx='200' cy='66' r='24' fill='none' stroke='{m}' \
                stroke-width='9'/><path d='M126 134l46-44h56l46 44z' fill='{m}'/><rect x='138' y='134' width='124' height='164' fill='#fff3c4' \
                opacity='.9'/><path d='M138 134v164M262 134v164M200 134v40' stroke='{m}' stroke-width='11'/><rect x='118' y='294' width='164' \
                height='28' rx='6' fill='{m}'/><rect x='176' y='232' width='48' height='62' rx='5' fill='{w}'/><path d='M200 176c20 24 16 50 0 50\
                s-20-26 0-50z' fill='#f0a83c'/><path d='M130 308h140' stroke='{l}' stroke-width='4'/>",
        },
    ],
};

pub(super) const DESK: Category = Category {
    id: "desk",
    name: "Desk & paper",
    prefix: "DES",
    kinds: [
        Kind {
            name: "Notebook in {} cloth",
            sentence: "Two hundred dotted pages that lie flat, with a ribbon.",
            price: 1600,
            range: &PAPER,
            drawing: "<path d='M70 322h260' stroke='{d}' stroke-width='9' opacity='.25'/><rect x='112' y='84' width='184' height='236' rx='10' \
                fill='{d}'/><rect x='120' y='90' width='176' height='224' rx='6' fill='{w}'/><rect x='104' y='80' width='184' height='236' rx='10' \
                fill='{m}'/><path d='M130 80v236' stroke='{d}' stroke-width='5'/><rect x='162' y='128' width='92' height='56' rx='4' fill='{t}'/>\
                <path d='M178 150h60M178 164h38' stroke='{d}' stroke-width='4'/><path d='M252 316v24l8-8 8 8v-24' fill='{l}'/>",
        },
        Kind {
            name: "Ink in {}, 50 ml",
            sentence: "Made for fountain pens and quick to dry.",
            price: 1400,
            range: &INK,
            drawing: "<ellipse cx='200' cy='322' rx='104' ry='9' fill='{d}' opacity='.3'/><rect x='156' y='112' width='88' height='58' rx='8' \
                fill='{k}'/><path d='M170 122v38M190 122v38M210 122v38M230 122v38' stroke='#55504b' stroke-width='4'/><path d='M168 170h64v18l56 \
                34v82c0 12-6 18-18 18H130c-12 0-18-6-18-18v-82l56-34z' fill='{t}'/><path d='M112 246h176v58c0 12-6 18-18 18H130c-12 0-18-6-18-18z' \
                fill='{m}'/><rect x='150' y='252' width='100' height='50' rx='4' fill='{w}'/><path d='M168 270h64M180 286h40' stroke='{m}' \
                stroke-width='5'/>",
        },
        Kind {
            name: "{} pen tray",
            sentence: "Carved from the solid, with room for four pens and a ruler.",
            price: 2700,
            range: &WOOD,
            drawing: "<path d='M50 318h300' stroke='{d}' stroke-width='10' opacity='.25'/><g transform='rotate(-12 200 200)'><rect x='110' y='196' \
                width='190' height='14' rx='7' fill='#344f7a'/><path d='M110 196v14l-24-7z' fill='{s}'/></g><rect x='130' y='190' width='200' \
                height='16' rx='3' fill='#e0a33a'/><path d='M130 190v16l-26-8z' fill='{t}'/><path d='M48 220h304l-14 88c-1 8-7 12-14 12H76c-8 \
                0-13-4-14-12z' fill='{m}'/><rect x='42' y='208' width='316' height='24' rx='10' fill='{l}'/><path d='M84 262h232M92 290h216' \
                stroke='{d}' stroke-width='4' opacity='.5'/>",
        },
        Kind {
            name: "Fountain pen in {}",
            sentence: "A medium nib in a slim body that is made to be refilled.",
            price: 5900,
            range: &METAL,
            drawing: "<path d='M84 322c40-10 60 8 96-4s60-4 110-2' stroke='#344f7a' stroke-width='5' fill='none'/><g transform='rotate(-48 200 200)'>\
                <path d='M36 200l58-18v36z' fill='#c4a052'/><path d='M52 200h34' stroke='{k}' stroke-width='3'/><rect x='92' y='180' width='56' \
                height='40' rx='6' fill='{k}'/><rect x='146' y='174' width='214' height='52' rx='22' fill='{m}'/><path d='M164 188h170' stroke='{l}' \
                stroke-width='7'/><path d='M220 174v52' stroke='{d}' stroke-width='7'/><path d='M230 172h96' stroke='#c4a052' stroke-width='7'/></g>",
        },
        Kind {
            name: "Photo album in {} cloth",
            sentence: "Forty sheets of heavy card with tissue between them.",
            price: 3900,
            range: &PAPER,
            drawing: "<path d='M50 320h300' stroke='{d}' stroke-width='9' opacity='.25'/><rect x='58' y='122' width='284' height='196' rx='10' \
                fill='{d}'/><rect x='66' y='114' width='276' height='196' rx='10' fill='{m}'/><path d='M98 114v196' stroke='{d}' stroke-width='6'/>\
                <rect x='142' y='148' width='156' height='120' fill='{w}'/><rect x='154' y='160' width='132' height='86' fill='{t}'/><path \
                d='M154 246l42-52 30 34 22-22 38 40z' fill='{m}'/><circle cx='256' cy='182' r='11' fill='{w}'/>",
        },
    ],
};

pub(super) const BATH: Category = Category {
    id: "bath",
    name: "Bath",
    prefix: "BAT",
    kinds: [
        Kind {
            name: "Hand soap, {}",
            sentence: "Cold-stirred olive oil soap, 120 grams and no plastic.",
            price: 700,
            range: &SCENT,
            drawing: "<ellipse cx='200' cy='322' rx='124' ry='9' fill='{d}' opacity='.3'/><rect x='92' y='210' width='216' height='110' rx='30' \
                fill='{m}'/><rect x='106' y='198' width='188' height='88' rx='28' fill='{l}'/><rect x='136' y='218' width='128' height='48' \
                rx='20' fill='none' stroke='{m}' stroke-width='5'/><circle cx='128' cy='150' r='22' fill='{t}'/><circle cx='176' cy='112' r='14' \
                fill='{t}'/><circle cx='246' cy='142' r='30' fill='{t}'/><path d='M232 134c2-8 8-12 14-12' stroke='{w}' stroke-width='5' \
                fill='none'/>",
        },
        Kind {
            name: "Linen bath towel in {}",
            sentence: "A waffle weave that dries fast, 70 by 140 centimetres.",
            price: 3900,
            range: &LINEN,
            drawing: "<path d='M60 96h280' stroke='{o}' stroke-width='14'/><rect x='112' y='88' width='176' height='232' rx='8' fill='{m}'/>\
                <rect x='112' y='88' width='176' height='34' rx='8' fill='{l}'/><path d='M148 132v180M184 132v180M220 132v180M256 132v180M118 \
                160h164M118 196h164M118 232h164' stroke='{l}' stroke-width='4'/><path d='M112 282h176' stroke='{t}' stroke-width='13'/><path \
                d='M120 320v14M140 320v14M160 320v14M180 320v14M200 320v14M220 320v14M240 320v14M260 320v14M280 320v14' stroke='{d}' \
                stroke-width='4'/>",
        },
        Kind {
            name: "{} bath brush",
            sentence: "Firm plant bristles on a handle that reaches the back.",
            price: 2300,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='324' rx='120' ry='8' fill='{d}' opacity='.25'/><g transform='rotate(-36 200 200)'><path d='M60 222\
                v34M76 224v38M92 226v40M108 226v42M124 226v42M140 226v40M156 224v38M172 222v34' stroke='#e3d2ae' stroke-width='10'/><ellipse \
                cx='116' cy='202' rx='84' ry='34' fill='{m}'/><rect x='180' y='188' width='190' height='28' rx='14' fill='{m}'/><circle cx='352' \
                cy='202' r='6' fill='{d}'/><path d='M58 194c30-16 82-18 112-4M210 196h110' stroke='{l}' stroke-width='6' fill='none'/></g>",
        },
        Kind {
            name: "Soap dish in {}",
            sentence: "Ribs keep the soap dry and a spout leads the water off.",
            price: 1500,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='322' rx='104' ry='8' fill='{d}' opacity='.3'/><rect x='132' y='196' width='136' height='60' rx='24' \
                fill='#f3ead6'/><rect x='146' y='190' width='108' height='40' rx='18' fill='{w}'/><path d='M64 244h272c-4 50-38 78-92 78h-88c-54 \
                0-88-28-92-78z' fill='{m}'/><rect x='54' y='236' width='292' height='20' rx='10' fill='{d}'/><path d='M98 276c10 16 26 26 46 30' \
                stroke='{l}' stroke-width='8' fill='none'/>",
        },
        Kind {
            name: "Bath salts, {}",
            sentence: "Coarse sea salt with essential oils, enough for eight baths.",
            price: 1700,
            range: &SCENT,
            drawing: "<ellipse cx='200' cy='322' rx='90' ry='9' fill='{d}' opacity='.3'/><rect x='146' y='76' width='108' height='44' rx='8' \
                fill='{o}'/><path d='M138 120h124c0 22 26 28 26 62v122c0 12-6 18-18 18H130c-12 0-18-6-18-18V182c0-34 26-40 26-62z' fill='{t}'/>\
                <path d='M112 206c30-14 58 10 88 0s58-12 88 2v96c0 12-6 18-18 18H130c-12 0-18-6-18-18z' fill='{m}'/><path d='M136 232l6 6M160 \
                250l6-6M148 282l6 6M252 236l6 6M264 266l-6 6M246 296l6-6' stroke='{w}' stroke-width='6'/><rect x='158' y='226' width='84' \
                height='70' rx='4' fill='{w}'/><path d='M174 250h52M182 270h36' stroke='{d}' stroke-width='5'/>",
        },
    ],
};
