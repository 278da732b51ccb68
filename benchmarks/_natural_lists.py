"""Which tables are read, and what is predicted from what, there and elsewhere."""

import pandas as pd
from _natural_tables import Shift


def clarity(data):
    """Return that of diamonds, in three."""
    steps = {"lo": ("I1", "SI2", "SI1"), "mid": ("VS2", "VS1"), "hi": ("VVS2", "VVS1", "IF")}
    return (
        data["clarity"].astype(str).map({each: name for name, of in steps.items() for each in of})
    )


def memory(data):
    """Return that of computers, in three."""
    return pd.cut(data["ram"], [0, 7, 15, 99], labels=["lo", "mid", "hi"])


def tropical(data):
    """Return whether a storm is."""
    kinds = {"extratropical": "no", "subtropical storm": "no"} | dict.fromkeys(STATUS, "yes")
    return data["status"].astype(str).map(kinds)


def genre(data):
    """Return that of films which are either comedies or dramas."""
    one = data["Comedy"] + data["Drama"] == 1
    return data["Comedy"].where(one & (data["Short"] == 0))


PENGUINS, CRABS, HAWKS = "palmerpenguins/penguins", "MASS/crabs", "Stat2Data/Hawks"
COMPUTERS, DIAMONDS, AMES = "Ecdat/Computers", "ggplot2/diamonds", "modeldata/ames"
STORMS, CHURN, OWNERS = "dplyr/storms", "modeldata/wa_churn", "modeldata/credit_data"

PENGUIN = "bill_length_mm bill_depth_mm flipper_length_mm body_mass_g"
CRAB, HAWK = "FL RW CL CW BD", "Wing Weight Culmen Hallux Tail"
DIAMOND = "carat depth table price x y z"
COUNTRY = "infant_mortality life_expectancy fertility log_population"
CAR = "engine_displacement no_cylinders city_mpg hwy_mpg no_gears"
DAY = """high_temp avg_temp low_temp high_dewpt avg_dewpt low_dewpt high_humidity avg_humidity
low_humidity high_hg avg_hg low_hg avg_vis high_wind avg_wind"""
PATIENT = "age meno diameter grade nodes log_pgr log_er hormon"
WORKER = "realrinc age prestg10 childs educcat maritalcat occrecode"
TRAITS = " ".join(f"{trait}{number}" for trait in "ACENO" for number in range(1, 6))
MAIL = """to_multiple cc sent_email image attach dollar num_char line_breaks format re_subj
exclaim_subj exclaim_mess number"""
FILM = "length rating votes " + " ".join(f"r{number}" for number in range(1, 11))
STATE = "violent murder robbery prisoners afam cauc male population income density"
HOUSE = """Lot_Area Total_Bsmt_SF First_Flr_SF Gr_Liv_Area Full_Bath Bedroom_AbvGr TotRms_AbvGrd
Garage_Area Sale_Price"""
HOME = """Lot_Area Total_Bsmt_SF First_Flr_SF Second_Flr_SF Gr_Liv_Area Full_Bath Half_Bath
Bedroom_AbvGr Fireplaces Garage_Area Sale_Price"""
COUNTY = """crmrte prbarr prbconv prbpris avgsen polpc density taxpc pctmin wcon wtuc wtrd wfir wser
wmfg wfed wsta wloc mix pctymle"""
COLLEGE = """Apps Accept Enroll F.Undergrad P.Undergrad Outstate Room.Board Books Personal PhD
Terminal S.F.Ratio perc.alumni Expend Grad.Rate"""
LOAN = "Seniority Time Age Expenses Income Assets Debt Amount Price Records Job"

STATUS = ("tropical depression", "tropical storm", "hurricane")
PHASES = ("Approach", "Climb", "Take-off run", "Landing Roll")
FLOORS, SEXES = ("One_Story", "Two_Story"), ("F", "M")
EARLY, LATE = "time < '2012-02-01T03'", "time > '2012-02-29T19:40'"
TEENS = "height weight physically_active_7d strength_training_7d"


def cities(label, source, target):
    """Return the way from one city's weather to another's."""
    where = (f"city == '{city}'" for city in (source, target))
    return Shift(f"{label}, {source} to {target}", "weather", DAY, label, *where)


# In view of these two conditions of ``class_weighting="auto"`` were chosen.
FIRST = [
    Shift(
        "sex of Adelies, Gentoos",
        PENGUINS,
        PENGUIN,
        "sex",
        "species == 'Adelie'",
        "species == 'Gentoo'",
    ),
    Shift("sex of crabs", CRABS, CRAB, "sex", "sp == 'B'", "sp == 'O'"),
    Shift("age of hawks", HAWKS, HAWK, "Age", "Species == 'SS'", "Species == 'RT'"),
    Shift("sex of hawks", HAWKS, HAWK, "Sex", "Species == 'SS'", "Species == 'CH'", SEXES),
    Shift("cut of diamonds", DIAMONDS, DIAMOND, "cut", "color == 'D'", "color == 'J'"),
    Shift("clarity of diamonds", DIAMONDS, DIAMOND, clarity, "cut == 'Ideal'", "cut == 'Good'"),
    Shift(
        "CD of computers",
        COMPUTERS,
        "price speed hd ram screen ads premium",
        "cd",
        "trend <= 10",
        "trend >= 20",
    ),
    Shift(
        "memory of computers",
        COMPUTERS,
        "price speed hd screen cd",
        memory,
        "5 <= trend <= 14",
        "20 <= trend <= 28",
    ),
    Shift(
        "continents, 30 years",
        "countries",
        f"{COUNTRY} log_gdp",
        "continent",
        "year in [1970, 1972, 1974, 1976]",
        "year in [2005, 2007, 2009, 2011]",
    ),
    cities("season", "Chicago", "Beijing"),
    cities("season", "San Diego", "Mumbai"),
    cities("rain", "Chicago", "Auckland"),
    cities("rain", "Beijing", "Chicago"),
    Shift("tumours, two studies", "tumours", PATIENT, "returned", "study == 1", "study == 2"),
    Shift(
        "storms, later",
        STORMS,
        "lat long month pressure",
        "status",
        "year <= 1988",
        "year >= 2012",
        STATUS,
    ),
    Shift(
        "storms, autumn",
        STORMS,
        "lat long wind pressure month",
        tropical,
        "month <= 8",
        "month >= 10",
    ),
    Shift(
        "degree, 12 years",
        "AER/CPSSW9204",
        "earnings age gender",
        "degree",
        "year == 1992",
        "year == 2004",
    ),
    Shift(
        "sex of workers", "stevedata/gss_wages", WORKER, "gender", "year <= 1980", "year >= 2012"
    ),
    Shift(
        "drive of cars", "cars", CAR, "drive_sys", "part == 0", "part == 1", ("A", "F", "R", "4")
    ),
    Shift(
        "fuel of cars",
        "cars",
        f"{CAR} drive_sys",
        "fuel_usage",
        "part == 0",
        "part == 1",
        ("G", "GP", "GPR"),
    ),
    Shift("sex of the young", "openintro/yrbss", TEENS, "gender", "age <= 14", "age >= 18"),
    Shift("sex by traits", "psych/bfi", TRAITS, "gender", "age <= 19", "age >= 36"),
    Shift("spam, later", "openintro/email", MAIL, "spam", EARLY, LATE),
    Shift("films", "ggplot2movies/movies", FILM, genre, "year < 1960", "year >= 1995"),
    Shift(
        "pitches",
        "Stat2Data/Kershaw",
        "StartSpeed EndSpeed HDev VDev HPos VPos",
        "PitchType",
        "BatterHand == 'L'",
        "BatterHand == 'R'",
    ),
    Shift("law on guns", "AER/Guns", STATE, "law", "year <= 1985", "year >= 1993"),
    Shift(
        "houses, newer",
        AMES,
        HOUSE,
        "House_Style",
        "Year_Built < 1955",
        "Year_Built > 1990",
        FLOORS,
    ),
]

# In view of these a bound of the one was made stricter, and the other added to a second place.
SECOND = [
    cities("season", "Beijing", "San Diego"),
    cities("season", "Chicago", "Mumbai"),
    Shift(
        "marriage, 10 years",
        "births",
        "fage mage weeks visits gained weight whitemom",
        "marital",
        "part == 0",
        "part == 1",
    ),
    Shift(
        "birds and aeroplanes",
        "openintro/birds",
        "height speed num_engs",
        "phase_of_flt",
        "ac_mass <= 3",
        "ac_mass >= 4",
        PHASES,
    ),
    Shift(
        "occupation, 6 years",
        "AER/PSID7682",
        "experience weeks industry smsa married gender union education wage",
        "occupation",
        "year == 1976",
        "year == 1982",
    ),
    Shift(
        "marriage, 7 years",
        "Ecdat/Males",
        "school exper wage union industry",
        "maried",
        "year == 1980",
        "year == 1987",
    ),
    Shift("regions of counties", "Ecdat/Crime", COUNTY, "region", "year <= 82", "year >= 86"),
    Shift(
        "sex of children",
        "HistData/GaltonFamilies",
        "father mother childHeight children",
        "gender",
        "midparentHeight <= 69.248",
        "midparentHeight > 69.248",
    ),
    Shift(
        "sex of the old",
        "survival/flchain",
        "kappa lambda creatinine age",
        "sex",
        "age < 58",
        "age >= 75",
    ),
    Shift(
        "sex of patients", "survival/mgus2", "hgb creat mspike age", "sex", "age < 65", "age >= 78"
    ),
    Shift("loans of tenants", OWNERS, LOAN, "Status", "Home == 'owner'", "Home == 'rent'"),
    Shift(
        "churn",
        CHURN,
        "tenure monthly_charges total_charges senior_citizen contract payment_method",
        "churn",
        "internet_service.str.contains('iber')",
        "internet_service == 'DSL'",
    ),
    Shift(
        "times of jobs",
        "modeldata/hpc_data",
        "compounds input_fields iterations num_pending hour",
        "class",
        "protocol in ['J', 'O']",
        "protocol in ['E', 'M', 'N']",
    ),
    Shift(
        "houses, east",
        AMES,
        HOME,
        "Foundation",
        "Longitude < -93.6418",
        "Longitude >= -93.6418",
        ("PConc", "CBlock"),
    ),
    Shift(
        "storms, east",
        STORMS,
        "lat month pressure hour",
        "status",
        "long < -80",
        "long > -50",
        STATUS,
    ),
    Shift("species of penguins", PENGUINS, PENGUIN, "species", "sex == 'male'", "sex == 'female'"),
    Shift("species of crabs", CRABS, CRAB, "sp", "sex == 'F'", "sex == 'M'"),
    Shift("species of hawks", HAWKS, HAWK, "Species", "Age == 'I'", "Age == 'A'"),
    Shift(
        "private colleges", "ISLR/College", COLLEGE, "Private", "Top10perc < 25", "Top10perc >= 30"
    ),
    Shift(
        "orange juice",
        "ISLR/OJ",
        "PriceCH PriceMM DiscCH DiscMM LoyalCH SpecialCH SpecialMM",
        "Purchase",
        "StoreID < 4",
        "StoreID == 7",
    ),
    Shift("diabetes", "diabetes", "npreg glu bp skin bmi ped", "type", "age < 30", "age >= 30"),
    Shift(
        "spam, longer",
        "DAAG/spam7",
        "dollar bang money n000 make",
        "yesno",
        "`crl.tot` <= 95",
        "`crl.tot` > 95",
    ),
    Shift(
        "deaths in hospital",
        "COUNT/medpar",
        "los hmo white age80",
        "died",
        "type == 1",
        "type >= 2",
    ),
    Shift(
        "continents, 50 years",
        "countries",
        COUNTRY,
        "continent",
        "year in [1964, 1965, 1966]",
        "year in [2013, 2014, 2015]",
    ),
    Shift(
        "sex of Chinstraps, Adelies",
        PENGUINS,
        PENGUIN,
        "sex",
        "species == 'Chinstrap'",
        "species == 'Adelie'",
    ),
]
