"""Texts about one's own account and the users."""

WORDS = {
    "account.password": ("Password", "Passwort", "Mot de passe"),
    "account.password.current": ("Current password", "Jetziges Passwort", "Mot de passe actuel"),
    "account.password.new": ("New password", "Neues Passwort", "Nouveau mot de passe"),
    "account.password.about": (
        "A new password ends all your sessions, this one too, and all your API tokens.",
        "Ein neues Passwort beendet alle Ihre Sitzungen, auch diese, und alle Ihre API-Tokens.",
        "Un nouveau mot de passe met fin à toutes vos sessions, celle-ci comprise, et à vos jetons d'API.",
    ),
    "account.password.change": ("Change the password", "Passwort ändern", "Changer le mot de passe"),
    "account.provider": (
        "You sign in at the identity provider. Password and second factor are set there.",
        "Sie melden sich beim Identitätsanbieter an. Passwort und zweiter Faktor werden dort eingestellt.",
        "Vous vous connectez chez le fournisseur d'identité. Mot de passe et second facteur s'y règlent.",
    ),
    "account.factor": ("Second factor", "Zweiter Faktor", "Second facteur"),
    "account.factor.on": ("Set up", "Eingerichtet", "Activé"),
    "account.factor.off": ("Not set up", "Nicht eingerichtet", "Non activé"),
    "account.factor.closed": (
        "Second factors are switched off here.",
        "Zweite Faktoren sind hier abgeschaltet.",
        "Les seconds facteurs sont désactivés ici.",
    ),
    "account.factor.about": (
        "Beside the password, each sign-in then needs a code of an app on your phone.",
        "Neben dem Passwort braucht jede Anmeldung dann den Code einer App auf Ihrem Telefon.",
        "En plus du mot de passe, chaque connexion demandera le code d'une application de votre téléphone.",
    ),
    "account.factor.begin": ("Set it up", "Einrichten", "Activer"),
    "account.factor.scan": (
        "Scan this picture with an authenticator app, or type the key into it. Then type the code that it shows.",
        "Scannen Sie das Bild mit einer Authenticator-App, oder geben Sie dort den Schlüssel ein, dann hier den Code.",
        "Scannez cette image avec une application d'authentification ou saisissez-y la clé, puis le code affiché.",
    ),
    "account.factor.picture": ("QR code of the key", "QR-Code des Schlüssels", "Code QR de la clé"),
    "account.factor.key": ("Key: {secret}", "Schlüssel: {secret}", "Clé : {secret}"),
    "account.factor.code": (
        "Code of the app, or a recovery code",
        "Code der App oder ein Ersatzcode",
        "Code de l'application ou code de secours",
    ),
    "account.factor.finish": ("Finish", "Abschließen", "Terminer"),
    "account.factor.remove": ("Remove it", "Entfernen", "Retirer"),
    "account.factor.removed": (
        "The second factor is removed.",
        "Der zweite Faktor ist entfernt.",
        "Le second facteur est retiré.",
    ),
    "account.codes": ("Recovery codes", "Ersatzcodes", "Codes de secours"),
    "account.codes.renew": ("Fresh recovery codes", "Neue Ersatzcodes", "Nouveaux codes de secours"),
    "account.codes.about": (
        "Keep them where nobody else finds them. If you lose the app, each lets you in once. They are shown only now.",
        "Bewahren Sie sie sicher auf. Ohne die App lässt jeder Sie einmal hinein. Sie werden nur jetzt gezeigt.",
        "Gardez-les en lieu sûr. Sans l'application, chacun sert une fois. Ils ne sont affichés que maintenant.",
    ),
    "account.confirm": ("Your password again", "Noch einmal Ihr Passwort", "Encore votre mot de passe"),
    "account.confirm.about": (
        "What you are about to do changes an account.",
        "Was Sie vorhaben, ändert ein Konto.",
        "Cette action modifie un compte.",
    ),
    "account.confirm.provider": (
        "Sign in again at the identity provider",
        "Beim Identitätsanbieter noch einmal anmelden",
        "Se reconnecter chez le fournisseur d'identité",
    ),
    "account.confirm.go": ("Go on", "Weiter", "Continuer"),
    "users": ("Users", "Benutzer", "Utilisateurs"),
    "users.email": ("E-mail", "E-Mail", "E-mail"),
    "users.role": ("Role", "Rolle", "Rôle"),
    "users.active": ("Active", "Aktiv", "Actif"),
    "users.reset": (
        "Remove the second factor of {email}",
        "Zweiten Faktor von {email} entfernen",
        "Retirer le second facteur de {email}",
    ),
    "users.reset.done": (
        "{email} has no second factor any more, and has to sign in again.",
        "{email} hat keinen zweiten Faktor mehr und muss sich neu anmelden.",
        "{email} n'a plus de second facteur et doit se reconnecter.",
    ),
}
