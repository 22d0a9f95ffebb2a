//! What is cooked with, eaten from and drunk.

use super::ranges::{ENAMEL, GLASS, GLAZE, LEAF, ORIGIN, WOOD};
use super::{Category, Kind};

pub(super) const KITCHEN: Category = Category {
    id: "kitchen",
    name: "Kitchen",
    prefix: "KIT",
    kinds: [
        Kind {
            name: "{} chopping board",
            sentence: "A heavy end-grain board with a groove for the juice.",
            price: 3400,
            range: &WOOD,
            drawing: "<path d='M60 318h280' stroke='{d}' stroke-width='10' opacity='.25'/>\
                <rect x='120' y='90' width='160' height='230' rx='22' fill='{m}'/>\
                <rect x='138' y='128' width='124' height='174' rx='12' fill='none' stroke='{d}' stroke-width='4'/>\
                <circle cx='200' cy='110' r='9' fill='{d}'/>\
                <path d='M160 160v110M186 150v130M214 160v120M240 150v120' stroke='{l}' stroke-width='3'/>",
        },
        Kind {
            name: "{} rolling pin",
            sentence: "Turned from one piece, with tapered ends that steer the dough.",
            price: 1900,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='318' rx='130' ry='9' fill='{d}' opacity='.25'/>\
                <g transform='rotate(-32 200 220)'><rect x='30' y='207' width='340' height='26' rx='13' fill='{d}'/>\
                <rect x='82' y='190' width='236' height='60' rx='16' fill='{m}'/>\
                <path d='M100 206h200' stroke='{l}' stroke-width='7'/></g>",
        },
        Kind {
            name: "Chef's knife with {} handle",
            sentence: "Twenty centimetres of carbon steel, ground thin and easy to sharpen.",
            price: 6900,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='322' rx='120' ry='8' fill='{d}' opacity='.25'/>\
                <g transform='rotate(-38 200 200)'><path d='M40 196c50-26 120-34 190-34v58H96c-26 0-44-10-56-24z' \
                fill='{s}'/><path d='M40 196c56 8 120 10 190 10v14H96c-26 0-44-10-56-24z' fill='{w}' opacity='.7'/>\
                <path d='M230 164h112c20 0 24 44 0 44H230z' fill='{m}'/>\
                <circle cx='262' cy='186' r='5' fill='{t}'/><circle cx='312' cy='186' r='5' fill='{t}'/></g>",
        },
        Kind {
            name: "{} enamel saucepan",
            sentence: "Holds two litres and suits every stove, induction included.",
            price: 4400,
            range: &ENAMEL,
            drawing: "<ellipse cx='190' cy='322' rx='120' ry='9' fill='{d}' opacity='.3'/>\
                <rect x='276' y='208' width='96' height='20' rx='10' fill='{o}'/>\
                <path d='M90 190h200v100c0 18-12 30-30 30H120c-18 0-30-12-30-30z' fill='{m}'/>\
                <path d='M108 204v84' stroke='{l}' stroke-width='10'/>\
                <rect x='80' y='178' width='220' height='18' rx='9' fill='{d}'/>\
                <path d='M98 176c20-34 164-34 184 0z' fill='{l}'/><circle cx='190' cy='142' r='12' fill='{o}'/>",
        },
        Kind {
            name: "{} salt mill",
            sentence: "A ceramic grinder set in hand-turned wood, for salt or pepper.",
            price: 3200,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='322' rx='78' ry='9' fill='{d}' opacity='.25'/>\
                <path d='M148 320c0-50 26-66 20-116h64c-6 50 20 66 20 116z' fill='{m}'/>\
                <rect x='158' y='186' width='84' height='18' rx='9' fill='{d}'/>\
                <path d='M162 186c-8-70 84-70 76 0z' fill='{m}'/><circle cx='200' cy='122' r='14' fill='{s}'/>\
                <path d='M172 300c2-36 16-50 16-82' stroke='{l}' stroke-width='7' fill='none'/>",
        },
    ],
};

pub(super) const TABLEWARE: Category = Category {
    id: "tableware",
    name: "Tableware",
    prefix: "TAB",
    kinds: [
        Kind {
            name: "Stoneware mug in {}",
            sentence: "Thrown by hand, with a handle that takes three fingers.",
            price: 1800,
            range: &GLAZE,
            drawing: "<ellipse cx='190' cy='322' rx='92' ry='9' fill='{d}' opacity='.3'/>\
                <path d='M266 186c70-14 70 96-4 82' fill='none' stroke='{m}' stroke-width='20'/>\
                <path d='M108 146h160l-8 150c-1 16-12 26-28 26h-88c-16 0-27-10-28-26z' fill='{m}'/>\
                <path d='M113 250h150l-3 46c-1 16-12 26-28 26h-88c-16 0-27-10-28-26z' fill='{t}'/>\
                <ellipse cx='188' cy='146' rx='80' ry='14' fill='{d}'/><path d='M130 176l4 56' stroke='{l}' stroke-width='9'/>",
        },
        Kind {
            name: "Breakfast bowl in {}",
            sentence: "Deep enough for porridge and wide enough for ramen.",
            price: 2100,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='322' rx='70' ry='8' fill='{d}' opacity='.3'/>\
                <path d='M150 300h100l-8 22h-84z' fill='{d}'/>\
                <path d='M62 186h276c0 78-56 122-138 122S62 264 62 186z' fill='{m}'/>\
                <ellipse cx='200' cy='186' rx='138' ry='24' fill='{d}'/><ellipse cx='200' cy='190' rx='118' ry='15' fill='{t}'/>\
                <path d='M90 232c14 30 38 46 62 54' stroke='{l}' stroke-width='9' fill='none'/>",
        },
        Kind {
            name: "Dinner plate in {}",
            sentence: "Twenty-seven centimetres with a raised rim, safe in the dishwasher.",
            price: 2600,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='324' rx='110' ry='8' fill='{d}' opacity='.3'/>\
                <circle cx='200' cy='196' r='126' fill='{m}'/><circle cx='200' cy='196' r='118' fill='none' stroke='{l}' \
                stroke-width='3'/><circle cx='200' cy='196' r='84' fill='{l}'/>\
                <circle cx='200' cy='196' r='84' fill='none' stroke='{d}' stroke-width='3' opacity='.5'/>\
                <path d='M146 170c8-20 24-32 42-36' stroke='{w}' stroke-width='7' fill='none'/>",
        },
        Kind {
            name: "Water jug in {}",
            sentence: "A litre and a half, with a lip that does not drip.",
            price: 4200,
            range: &GLAZE,
            drawing: "<ellipse cx='196' cy='322' rx='86' ry='9' fill='{d}' opacity='.3'/>\
                <path d='M244 128c86-10 84 128 10 130' fill='none' stroke='{m}' stroke-width='18'/>\
                <path d='M126 96l-20-14 138 4c0 60 30 92 30 160 0 48-20 76-52 76h-52c-32 0-52-28-52-76 0-62 22-90 8-150z' \
                fill='{m}'/><path d='M106 82l138 4c-20 18-96 22-118 10z' fill='{d}'/>\
                <path d='M142 170c-8 28-8 64 0 100' stroke='{l}' stroke-width='9' fill='none'/>",
        },
        Kind {
            name: "Four tumblers in {} glass",
            sentence: "Stackable tumblers with a thick base, 25 cl each.",
            price: 2800,
            range: &GLASS,
            drawing: "<ellipse cx='200' cy='322' rx='120' ry='9' fill='{d}' opacity='.25'/>\
                <path d='M92 196h92l-8 124H100z' fill='{m}' opacity='.75'/><path d='M216 196h92l-8 124h-76z' fill='{m}' \
                opacity='.75'/><path d='M154 92h92l-6 104h-80z' fill='{m}' opacity='.6'/>\
                <path d='M98 290h80l-2 30h-76zM222 290h80l-2 30h-76z' fill='{d}' opacity='.5'/>\
                <path d='M104 212l5 70M228 212l5 70M168 108l4 74' stroke='{w}' stroke-width='6' opacity='.8'/>\
                <path d='M92 196h92M216 196h92M154 92h92' stroke='{d}' stroke-width='5' opacity='.6'/>",
        },
    ],
};

pub(super) const COFFEE: Category = Category {
    id: "coffee",
    name: "Coffee & tea",
    prefix: "COF",
    kinds: [
        Kind {
            name: "Stoneware teapot in {}",
            sentence: "Pours four cups through a strainer that is fired into the spout.",
            price: 5400,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='322' rx='110' ry='9' fill='{d}' opacity='.3'/>\
                <path d='M120 232C70 226 76 170 40 168c36-16 70 14 96 30z' fill='{d}'/>\
                <path d='M284 190c76-24 80 92 4 84' fill='none' stroke='{d}' stroke-width='16'/>\
                <path d='M106 240c0-60 42-86 94-86s94 26 94 86c0 52-36 82-94 82s-94-30-94-82z' fill='{m}'/>\
                <path d='M146 164c20-22 88-22 108 0-26 12-82 12-108 0z' fill='{l}'/><circle cx='200' cy='136' r='13' fill='{d}'/>\
                <path d='M130 226c4-22 16-36 34-44' stroke='{l}' stroke-width='9' fill='none'/>",
        },
        Kind {
            name: "Coffee beans from {}, 500 g",
            sentence: "Single origin, roasted on Tuesdays and sent on Wednesdays.",
            price: 1500,
            range: &ORIGIN,
            drawing: "<ellipse cx='200' cy='322' rx='96' ry='9' fill='{d}' opacity='.3'/>\
                <path d='M116 116h168l8 190c0 10-6 16-16 16H124c-10 0-16-6-16-16z' fill='{k}'/>\
                <path d='M116 116l12-34h144l12 34z' fill='{k}'/><path d='M116 116h168' stroke='{s}' stroke-width='4'/>\
                <rect x='132' y='160' width='136' height='116' rx='6' fill='{m}'/>\
                <ellipse cx='200' cy='210' rx='22' ry='32' transform='rotate(28 200 210)' fill='{t}'/>\
                <path d='M214 184c-22 14-8 34-28 52' stroke='{d}' stroke-width='5' fill='none'/>\
                <path d='M156 260h88' stroke='{t}' stroke-width='5'/>",
        },
        Kind {
            name: "{} loose-leaf tea, 100 g",
            sentence: "Whole leaves in a tin that closes tight.",
            price: 1100,
            range: &LEAF,
            drawing: "<ellipse cx='200' cy='322' rx='84' ry='9' fill='{d}' opacity='.3'/>\
                <rect x='124' y='136' width='152' height='186' rx='12' fill='{m}'/>\
                <rect x='118' y='96' width='164' height='50' rx='10' fill='{d}'/><path d='M130 112h140' stroke='{l}' stroke-width='5'/>\
                <rect x='124' y='184' width='152' height='96' fill='{w}'/>\
                <path d='M200 264c-44-18-40-52-2-66 40 16 44 46 2 66z' fill='{m}'/>\
                <path d='M200 264v-44' stroke='{w}' stroke-width='4'/>",
        },
        Kind {
            name: "Pour-over dripper in {}",
            sentence: "A ceramic cone with spiral ribs for an even, unhurried brew.",
            price: 2900,
            range: &GLAZE,
            drawing: "<ellipse cx='200' cy='322' rx='84' ry='8' fill='{d}' opacity='.3'/>\
                <path d='M134 236h132l-10 74c-1 8-6 12-14 12h-84c-8 0-13-4-14-12z' fill='{s}' opacity='.55'/>\
                <path d='M142 276h116l-5 34c-1 8-6 12-14 12h-78c-8 0-13-4-14-12z' fill='#5a3a26'/>\
                <path d='M282 140c56-6 52 60-26 54' fill='none' stroke='{m}' stroke-width='13'/>\
                <path d='M96 104h208l-72 112h-64z' fill='{m}'/><rect x='118' y='214' width='164' height='18' rx='9' fill='{d}'/>\
                <ellipse cx='200' cy='104' rx='104' ry='14' fill='{d}'/>\
                <path d='M132 134l42 66M178 132l10 70' stroke='{l}' stroke-width='7'/>",
        },
        Kind {
            name: "Hand grinder with {} drawer",
            sentence: "Steel burrs that hold their setting, from espresso to cold brew.",
            price: 7200,
            range: &WOOD,
            drawing: "<ellipse cx='200' cy='322' rx='100' ry='9' fill='{d}' opacity='.3'/>\
                <rect x='112' y='206' width='176' height='112' rx='8' fill='{m}'/>\
                <rect x='132' y='238' width='136' height='56' rx='5' fill='{l}'/><circle cx='200' cy='266' r='9' fill='{k}'/>\
                <rect x='102' y='194' width='196' height='18' rx='6' fill='{d}'/>\
                <path d='M142 194c0-66 116-66 116 0z' fill='{s}'/><path d='M200 144V96H92' stroke='{k}' stroke-width='9' fill='none'/>\
                <circle cx='92' cy='84' r='15' fill='{m}'/><path d='M164 180c4-14 12-20 22-24' stroke='{w}' stroke-width='6' fill='none'/>",
        },
    ],
};
