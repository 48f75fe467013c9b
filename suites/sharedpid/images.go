package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sharedpid.example/fixtures/images"
	"sharedpid.example/helpers/archive"
	"sharedpid.example/helpers/mirror"
	"sharedpid.example/helpers/progress"
	"sharedpid.example/helpers/suite"
	"sharedpid.example/suites"
)

func imagesCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "images",
		Short: "List the test images, and bring them to where nodes reach them",
		Long: `The Pods of a run are of published images, pinned by the digest of their index over all architectures. For nodes that do not
reach their registries they are copied to a mirror, or saved into a file that is loaded into one; a run then takes
the mirror with --image-registry. Credentials are those that docker login and podman login keep.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(imagesListCommand(), imagesCheckCommand(), imagesCopyCommand(), imagesSaveCommand(), imagesLoadCommand())
	return command
}

// imageSelection are the flags of which images are meant, and where they come from.
type imageSelection struct {
	profile string
	sources images.Sources
	from    string
}

func (selection *imageSelection) add(command *cobra.Command, withSource bool) {
	flags := command.Flags()
	flags.StringVar(&selection.profile, "profile", string(suite.Full), "the images of `PROFILE`: article, core or full")
	if withSource {
		flags.StringVar(&selection.from, "image-registry", "", "take them from a mirror at `HOST/PATH` (default: the registries that publish them)")
	}
}

// images are those that the Pods of the profile have.
func (selection *imageSelection) images() ([]mirror.Image, error) {
	if selection.from != "" {
		if err := selection.sources.TakeMirror(selection.from); err != nil {
			return nil, fmt.Errorf("--image-registry: %w", err)
		}
	}
	if !slices.Contains(suite.Profiles, suite.Profile(selection.profile)) {
		return nil, fmt.Errorf("--profile: there is no profile %q; the profiles are article, core and full", selection.profile)
	}
	traits, err := suite.Select(suites.Traits(), suite.Profile(selection.profile), nil)
	if err != nil {
		return nil, err
	}
	names, err := suite.ImageNames(traits)
	if err != nil {
		return nil, err
	}
	return mirror.Images(names, selection.sources)
}

func imagesListCommand() *cobra.Command {
	var selection imageSelection
	command := &cobra.Command{
		Use:   "list",
		Short: "Print the images of a profile, by digest",
		Args:  takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			all, err := selection.images()
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(command.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, image := range all {
				fmt.Fprintf(table, "%s\t%s\n", image.Tag.Name(), image.From)
			}
			return table.Flush()
		},
	}
	selection.add(command, true)
	return command
}

func imagesCheckCommand() *cobra.Command {
	var selection imageSelection
	command := &cobra.Command{
		Use:   "check",
		Short: "Ask the registries, or a mirror, for each image of a profile",
		Long: `Asks the registries that publish the images, or the mirror that --image-registry names, for each image of a profile.

Exit codes: 0 all are there, 2 bad input or one is missing.`,
		Args: takes(),
		RunE: func(command *cobra.Command, _ []string) error {
			all, err := selection.images()
			if err != nil {
				return err
			}
			var missing []string
			for _, image := range all {
				if err := image.Check(command.Context()); err != nil {
					missing = append(missing, image.Tag.Name())
					fmt.Fprintln(command.ErrOrStderr(), err)
					continue
				}
				fmt.Fprintf(command.OutOrStdout(), "there is %s\n", image.From)
			}
			if len(missing) > 0 {
				return unlessInterrupted(command, fmt.Errorf("%d of %d images are not to be had: %s", len(missing), len(all), strings.Join(missing, ", ")))
			}
			return nil
		},
	}
	selection.add(command, true)
	return command
}

func imagesCopyCommand() *cobra.Command {
	var selection imageSelection
	command := &cobra.Command{
		Use:   "copy HOST/PATH",
		Short: "Copy the images of a profile to a mirror, all architectures, with their digests",
		Example: `  sharedpid images copy registry.example.com/mirror
  sharedpid run --kubeconfig FILE --image-registry registry.example.com/mirror`,
		Args: takes("HOST/PATH"),
		RunE: func(command *cobra.Command, arguments []string) error {
			to := arguments[0]
			if err := new(images.Sources).TakeMirror(to); err != nil {
				return err
			}
			all, err := selection.images()
			if err != nil {
				return err
			}
			for _, image := range all {
				copied, err := image.Copy(command.Context(), to)
				if err != nil {
					return unlessInterrupted(command, err)
				}
				fmt.Fprintln(command.OutOrStdout(), copied)
			}
			return nil
		},
	}
	selection.add(command, true)
	return command
}

func imagesSaveCommand() *cobra.Command {
	var selection imageSelection
	command := &cobra.Command{
		Use:   "save FILE",
		Short: "Save the images of a profile into a file, an OCI image layout in a tar",
		Args:  takes("FILE"),
		RunE: func(command *cobra.Command, arguments []string) error {
			all, err := selection.images()
			if err != nil {
				return err
			}
			printer := progress.NewPrinter(command.ErrOrStderr())
			return unlessInterrupted(command, mirror.Save(command.Context(), all, arguments[0], printer.Step))
		},
	}
	selection.add(command, true)
	return command
}

func imagesLoadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "load FILE HOST/PATH",
		Short: "Load the images of a file that images save wrote into a mirror",
		Long: `Loads the images of a file that sharedpid images save wrote into a mirror, all architectures, with their digests. The file is
checked before anything is sent: a damaged one is refused.`,
		Args: takes("FILE", "HOST/PATH"),
		RunE: func(command *cobra.Command, arguments []string) error {
			file, to := arguments[0], arguments[1]
			if err := new(images.Sources).TakeMirror(to); err != nil {
				return err
			}
			return loadImages(command, file, to)
		},
	}
}

func loadImages(command *cobra.Command, file, to string) error {
	folder, err := os.MkdirTemp("", "sharedpid-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	content, err := archive.Read(command.Context(), file, folder)
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("cannot read %s: %w", file, path.Err)
	}
	if errors.As(err, new(archive.Damaged)) {
		return err
	}
	if err != nil {
		return unlessInterrupted(command, err)
	}
	for _, image := range content {
		loaded, err := mirror.Load(command.Context(), image, to)
		if err != nil {
			return unlessInterrupted(command, err)
		}
		fmt.Fprintln(command.OutOrStdout(), loaded)
	}
	return nil
}
